"""What the back end is asked."""

from __future__ import annotations

import json

import pytest
from websockets.datastructures import Headers

from relay.auth.credential import Unauthenticated
from relay.authenticators.http.question import QuestionForm
from relay.errors import Refused
from relay.protocols.request import ConnectRequest

TOKEN = "s3cret-t0ken"

DEFAULT = QuestionForm(["Authorization"])


def request(
    query: dict[str, str] | None = None, bearer: str | None = None, path: str = "/ws/chat:1", **headers: str
) -> ConnectRequest:
    """Return a request with headers, in whose names `_` stands for `-`."""
    named = Headers()
    for name, value in headers.items():
        named.set_insecure(name.replace("_", "-"), value)  # as a gateway reads them
    return ConnectRequest(path, query or {}, named, "203.0.113.7", bearer)


@pytest.mark.parametrize(
    "asking",
    [
        request(Authorization=f"Bearer {TOKEN}"),
        request(authorization=f"bearer  {TOKEN}"),
        request({"token": TOKEN}),
        request(bearer=TOKEN),
        request({"token": TOKEN}, bearer=TOKEN, Authorization=f"Bearer {TOKEN}"),
    ],
    ids=["header", "another case", "query", "subprotocol", "all"],
)
def test_the_credential_is_passed_on_as_a_header_wherever_it_stood(asking: ConnectRequest) -> None:
    question = DEFAULT.fill_in(asking)
    assert question.headers == {"Authorization": f"Bearer {TOKEN}"}
    assert json.loads(question.body) == {"path": "/ws/chat:1", "remote": "203.0.113.7", "parameters": {}}
    assert TOKEN not in repr(question)


def test_another_scheme_is_passed_on_as_it_is() -> None:
    assert DEFAULT.fill_in(request(Authorization="Basic YTpi")).headers == {"Authorization": "Basic YTpi"}


def test_a_client_that_shows_nothing_is_asked_about_as_well() -> None:
    question = DEFAULT.fill_in(request(Cookie="a=b", X_Other="c", query={"room": "1"}))
    assert question.headers == {}
    assert question.key is None
    assert json.loads(question.body)["parameters"] == {}


def test_only_what_is_listed_is_passed_on() -> None:
    form = QuestionForm(["X-Device", "x-absent"], ["sessionid", "absent"], ["room", "absent"])
    question = form.fill_in(
        request(
            {"room": "a b&c=ü", "token": TOKEN, "other": "1"},
            x_device="phone",
            authorization=f"Bearer {TOKEN}",
            cookie='other=1; sessionid="abc=="; csrftoken=x',
        )
    )
    assert question.headers == {"X-Device": "phone", "Cookie": "sessionid=abc=="}
    assert json.loads(question.body)["parameters"] == {"room": "a b&c=ü"}


def test_a_cookie_may_hold_the_credential() -> None:
    form = QuestionForm(["Authorization"], credential_cookie="relay")
    assert form.fill_in(request(cookie=f"relay={TOKEN}")).headers == {"Authorization": f"Bearer {TOKEN}"}
    assert form.fill_in(request({"token": "other"}, cookie=f"relay={TOKEN}")).headers == {
        "Authorization": "Bearer other"
    }


@pytest.mark.parametrize("token", ["a\r\nX-Admin: 1", "a\nb", "a\x00b", "a b", "ü", "\udc80", "a\x7f"], ids=ascii)
def test_a_credential_that_would_be_more_than_a_header_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        DEFAULT.fill_in(request({"token": token}))
    assert (caught.value.status, caught.value.cause) == (401, "malformed")


@pytest.mark.parametrize("value", ["ü", "a\x01b", "\udcff", "a\tb"], ids=ascii)
def test_other_values_that_no_header_can_carry_are_refused(value: str) -> None:
    for form, asking in (
        (QuestionForm(["X-Name"]), request(x_name=value)),
        (QuestionForm([], ["name"]), request(cookie=f"name={value}")),
    ):
        with pytest.raises(Refused) as caught:
            form.fill_in(asking)
        assert caught.value.status == 400


def test_a_credential_that_is_too_long_is_refused() -> None:
    with pytest.raises(Unauthenticated) as caught:
        DEFAULT.fill_in(request({"token": "x" * 100_000}))
    assert caught.value.cause == "too_long"


def test_headers_that_come_twice_are_refused() -> None:
    asking = request()
    for value in ("a", "b"):
        asking.headers["X-Device"] = value  # type: ignore[index]  # of `websockets`: it adds
    with pytest.raises(Refused) as caught:
        QuestionForm(["X-Device"]).fill_in(asking)
    assert caught.value.status == 400


def test_the_same_question_has_the_same_key_and_no_other_has_it() -> None:
    form = QuestionForm(["Authorization", "X-A", "X-B"], ["s"], ["room"])
    askings = [
        request({"token": TOKEN}),
        request({"token": TOKEN + "x"}),
        request({"token": TOKEN}, path="/ws/chat:2"),
        request({"token": TOKEN, "room": "1"}),
        request({"token": TOKEN}, x_a="1"),
        request({"token": TOKEN}, x_b="1"),
        request({"token": TOKEN}, cookie="s=1"),
        request({"room": "1"}),
    ]
    keys = [form.fill_in(asking).key for asking in askings]
    assert None not in keys
    assert len(set(keys)) == len(askings)
    assert [form.fill_in(asking).key for asking in askings] == keys
    assert form.fill_in(request(bearer=TOKEN)).key == keys[0], "wherever it stood"
    other = QuestionForm(["Authorization", "X-A", "X-B"], ["s"], ["room"])
    assert other.fill_in(askings[0]).key != keys[0], "a digest that leaks can't be compared with those of guesses"
    elsewhere = ConnectRequest("/ws/chat:1", {"token": TOKEN}, {}, "203.0.113.8")
    assert form.fill_in(elsewhere).key != keys[0], "the back end may decide by the address"
