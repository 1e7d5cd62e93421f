"""What a request is with a token, and with headers, that its client sends later."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers

from relay.auth.credential import find_credential
from relay.authenticators.http.question import QuestionForm
from relay.errors import Refused
from relay.protocols.emulated_headers import MAX_VALUE_BYTES
from relay.protocols.request import ConnectRequest, parse_request

ALLOWED = ("Authorization", "X-Device")


def opened(target: str = "/connection/websocket", bearer: str | None = None, **headers: str) -> ConnectRequest:
    """Return the request that has opened a connection; an underscore in the name of a header is a dash."""
    given = Headers()
    for name, value in headers.items():
        given[name.replace("_", "-")] = value
    return parse_request(target, given, "192.0.2.1", bearer, "ann")


@pytest.mark.parametrize(
    "request_",
    [
        opened(),
        opened("/connection/websocket?token=old&device=7"),
        opened(bearer="old"),
        opened(Authorization="Bearer old"),
        opened(Authorization="Basic old"),
        opened(Cookie="session=old"),
        opened("/connection/websocket?token=one", "two", Authorization="Bearer three", Cookie="session=four"),
    ],
)
def test_a_later_token_is_the_only_credential(request_: ConnectRequest) -> None:
    later = request_.with_token("new", {"Authorization": "Bearer emulated"}, ALLOWED)
    assert find_credential(later, "session") == "new"
    assert (later.header("Authorization"), later.query.get("token")) == (None, None)
    assert (later.path, later.remote, later.certificate_user) == (request_.path, "192.0.2.1", "ann")
    assert later.query.get("device") == request_.query.get("device")
    assert find_credential(later.with_token("newer"), "session") == "newer"


def test_without_a_token_the_request_is_what_it_was() -> None:
    request = opened(bearer="old", Cookie="session=x")
    assert request.with_token("") is request
    assert find_credential(request.with_token("", {"X-Device": "7"}, ALLOWED), "session") == "old"
    emulated = opened().with_token("", {"authorization": "Bearer emulated"}, ALLOWED)
    assert find_credential(emulated) == "emulated"


def test_cookies_stay_for_a_back_end() -> None:
    later = opened(Cookie="session=x; other=y").with_token("new")
    question = QuestionForm(["Authorization"], ["session"], credential_cookie="session").fill_in(later)
    assert question.headers == {"Authorization": "Bearer new", "Cookie": "session=x"}


def test_headers_in_the_protocol_count_where_they_are_allowed() -> None:
    sent = {"x-device": "7", "X-Other": "1", "Authorization": "Bearer a"}
    later = opened(Accept="*/*").with_token("new", sent, ALLOWED)
    assert (later.header("X-Device"), later.header("X-Other"), later.header("accept")) == ("7", None, "*/*")
    assert {**later.headers} == {"accept": "*/*", "x-device": "7"}
    assert len(later.headers) == 2
    assert "X-DEVICE" in later.headers
    assert opened().with_token("new", sent).header("X-Device") is None, "nothing is allowed unless it is said"


def test_a_header_of_the_request_itself_wins() -> None:
    """A proxy may have set it; and one that comes twice is refused, whatever the client says besides."""
    request = opened(X_Device="real")
    assert request.with_token("t", {"X-Device": "emulated"}, ALLOWED).header("X-Device") == "real"
    request.headers["X-Device"] = "again"  # type: ignore[index]
    with pytest.raises(Refused, match="more than one X-Device"):
        request.with_token("t", {"X-Device": "emulated"}, ALLOWED).header("X-Device")


NEVER = ["Origin", "host", "COOKIE", "X-Forwarded-For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Sec-Fetch-Site"]


@pytest.mark.parametrize("name", NEVER)
def test_what_a_browser_or_a_proxy_vouches_for_is_never_emulated(name: str) -> None:
    assert opened().with_token("t", {name: "x"}, [name, *ALLOWED]).header(name) is None
    assert opened().with_token("", {name: "x"}, [name, *ALLOWED]).header(name) is None


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"X-Device": "x" * (MAX_VALUE_BYTES + 1)}, "the header x-device is longer than 8192 bytes"),
        ({"X-Device": "7", "x-device": "8"}, "more than one x-device header"),
    ],
)
def test_headers_that_can_not_be_used_are_refused(sent: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        opened().with_token("t", sent, ALLOWED)
    assert refused.value.status == 400
