"""The error that a back end gets for a message that was not published."""

from __future__ import annotations

import pytest

from relay.errors import BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused
from relay.web.api.error import Code, bad_request, from_publish_error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BusUnavailable("x"), Code.INTERNAL, "bus unavailable: it was not published"),
        (PublishBufferFull("x"), Code.TOO_MANY_REQUESTS, "publish buffer full: it was not published"),
        (PublishRefused("NOPERM why"), Code.PERMISSION_DENIED, "refused by the bus: NOPERM why"),
        (DeliveryUnknown("x"), Code.DELIVERY_UNKNOWN, "delivery unknown: it may or may not have been published"),
    ],
)
def test_each_fate_has_its_code(error: PublishError, code: Code, words: str) -> None:
    answer = from_publish_error(error)
    assert (answer.code, answer.message, answer.status) == (code, words, 200)


def test_wrong_parameters_are_a_bad_request() -> None:
    error = bad_request("channel: is missing")
    assert (error.code, error.message) == (107, "bad request: channel: is missing")
