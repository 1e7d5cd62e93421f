"""Where a credential may stand in a request."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers

from relay.auth.credential import MAX_CREDENTIAL_BYTES, Unauthenticated, find_credential, take_bearer
from relay.errors import Refused
from relay.protocols.request import ConnectRequest, parse_request


def asking(
    target: str = "/ws/lobby", authorization: str | None = None, cookie: str | None = None, bearer: str | None = None
) -> ConnectRequest:
    """Return a request with credentials in some places."""
    headers = Headers()
    for name, value in (("Authorization", authorization), ("Cookie", cookie)):
        if value is not None:
            headers[name] = value
    return parse_request(target, headers, "127.0.0.1", bearer)


@pytest.mark.parametrize(
    "request_",
    [
        asking(authorization="Bearer abc"),
        asking(authorization="bearer  abc "),
        asking("/ws/lobby?token=abc"),
        asking(bearer="abc"),
        asking(cookie="a=b; session=abc"),
        asking(cookie='session="abc"'),
        asking("/ws/lobby?token=abc", authorization="Bearer abc", bearer="abc"),
    ],
)
def test_a_credential_is_found_where_clients_can_put_it(request_: ConnectRequest) -> None:
    assert find_credential(request_, "session") == "abc"


@pytest.mark.parametrize(
    "request_",
    [
        asking(),
        asking("/ws/lobby?token="),
        asking("/ws/lobby?Token=abc"),
        asking(authorization="Basic abc"),
        asking(authorization="Bearer"),
        asking(authorization="Bearer "),
        asking(cookie="other=abc"),
        asking(cookie="session="),
        asking(cookie="Session=abc"),
        asking(cookie="xsession=abc"),
    ],
)
def test_elsewhere_there_is_none(request_: ConnectRequest) -> None:
    assert find_credential(request_, "session") is None


def test_a_cookie_counts_only_where_the_settings_name_it() -> None:
    assert find_credential(asking(cookie="session=abc")) is None


def test_a_cookie_gives_way_to_a_credential_that_the_client_names() -> None:
    """A browser sends cookies without being asked."""
    assert find_credential(asking("/ws/lobby?token=abc", cookie="session=old"), "session") == "abc"


def test_two_credentials_that_differ_are_ambiguous() -> None:
    with pytest.raises(Refused, match="two credentials that differ") as refused:
        find_credential(asking("/ws/lobby?token=abc", authorization="Bearer other"))
    assert refused.value.status == 400
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_a_header_that_comes_twice_is_ambiguous(name: str) -> None:
    request = asking(authorization="Bearer abc") if name == "Authorization" else asking(cookie="session=abc")
    headers = request.headers
    assert isinstance(headers, Headers)
    headers[name] = "Bearer abd" if name == "Authorization" else "session=abd"
    with pytest.raises(Refused, match=f"more than one {name} header") as refused:
        find_credential(request, "session")
    assert refused.value.status == 400


def test_a_cookie_or_a_parameter_that_comes_twice_is_ambiguous() -> None:
    with pytest.raises(Refused, match="the cookie session comes twice") as refused:
        find_credential(asking(cookie="session=abc; session=abd"), "session")
    assert refused.value.status == 400
    assert find_credential(asking(cookie="session=abc; session=abc"), "session") == "abc"
    with pytest.raises(Refused, match="more than one token in the URL's query") as refused:
        asking("/ws/lobby?token=good&token=bad")
    assert refused.value.status == 400


def test_a_credential_is_bounded() -> None:
    longest = "x" * MAX_CREDENTIAL_BYTES
    assert find_credential(asking(authorization=f"Bearer {longest}")) == longest
    with pytest.raises(Unauthenticated, match="longer than 8192 bytes") as refused:
        find_credential(asking(authorization=f"Bearer {longest}x"))
    assert (refused.value.status, refused.value.cause) == (401, "too_long")


def test_the_subprotocols_without_the_credential_are_those_of_the_client() -> None:
    assert take_bearer(["chat", "bearer.abc.def", "v2"]) == (["chat", "v2"], "abc.def")
    assert take_bearer(["chat"]) == (["chat"], None)
    assert take_bearer([]) == ([], None)
    with pytest.raises(Refused, match=r"more than one bearer\.TOKEN"):
        take_bearer(["bearer.a", "bearer.b"])
