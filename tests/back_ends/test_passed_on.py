"""What of a client's request is passed on to a back end."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers

from relay.back_ends.passed_on import PassedOn, check_headers
from relay.errors import Refused
from relay.protocols.request import ConnectRequest


def request(*headers: tuple[str, str]) -> ConnectRequest:
    """Return a request with headers."""
    return ConnectRequest("/", {}, Headers(headers), "203.0.113.7")


ASKING = request(("x-device", "phone"), ("X-Other", "1"), ("Cookie", 'other=1; session="abc=="; theme=dark'))


def test_only_what_is_named_is_passed_on() -> None:
    assert PassedOn(["X-Device", "X-Absent"], ["session", "absent"]).pick(ASKING) == {
        "X-Device": "phone",
        "Cookie": "session=abc==",
    }
    assert PassedOn([], ["theme", "other"]).pick(ASKING) == {"Cookie": "theme=dark; other=1"}
    assert PassedOn([]).pick(ASKING) == {}
    assert PassedOn([], ["absent"]).pick(ASKING) == {}


def test_what_is_not_clear_is_refused() -> None:
    asking = request(("X-Device", "a"), ("X-Device", "b"), ("Cookie", "session=a; session=b"))
    for passed_on in (PassedOn(["x-device"]), PassedOn([], ["session"])):
        with pytest.raises(Refused) as caught:
            passed_on.pick(asking)
        assert caught.value.status == 400


@pytest.mark.parametrize("value", ["ü", "a\x01b", "\udcff", "a\tb", "a\r\nX-Admin: 1"], ids=ascii)
def test_values_that_no_header_can_carry_are_refused(value: str) -> None:
    with pytest.raises(Refused) as caught:
        check_headers({"X-Name": "plain", "X-Device": value})
    assert (caught.value.status, value in caught.value.reason) == (400, False)
    assert check_headers({"X-Name": "plain, with spaces"}) == {"X-Name": "plain, with spaces"}
