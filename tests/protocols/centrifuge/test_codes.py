"""The numbers of the Centrifuge protocol."""

from __future__ import annotations

import pytest
from centrifuge.codes import _DISCONNECTED_STATE_INVALIDATED, _ERROR_CODE_UNRECOVERABLE_POSITION, _ErrorCode

from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.pushes import Disconnect, Unsubscribe
from relay.protocols.centrifuge.results import Error

ERRORS = [value for value in vars(codes).values() if isinstance(value, Error)]
UNSUBSCRIBES = [value for value in vars(codes).values() if isinstance(value, Unsubscribe)]
DISCONNECTS = [value for value in vars(codes).values() if isinstance(value, Disconnect)]


def test_errors_are_all_that_the_protocol_has() -> None:
    assert [error.code for error in ERRORS] == list(range(100, 114))
    assert [error.code for error in ERRORS if error.temporary] == [100, 111, 113]
    assert codes.ERROR_TOKEN_EXPIRED.code == _ErrorCode.TOKEN_EXPIRED.value
    assert codes.ERROR_UNRECOVERABLE_POSITION.code == _ERROR_CODE_UNRECOVERABLE_POSITION


def test_ends_of_subscriptions_have_the_codes_of_the_protocol() -> None:
    assert [end.code for end in UNSUBSCRIBES] == [2000, 2500, 2501, 2502]


def test_closes_have_the_codes_of_the_protocol() -> None:
    assert [close.code for close in DISCONNECTS] == [
        3000,
        3001,
        3004,
        3005,
        3006,
        *range(3008, 3015),
        *range(3500, 3510),
    ]
    assert codes.DISCONNECT_STATE_INVALIDATED.code == _DISCONNECTED_STATE_INVALIDATED


@pytest.mark.parametrize("close", DISCONNECTS, ids=lambda close: str(close.code))
def test_reasons_fit_into_a_close_frame(close: Disconnect) -> None:
    assert 0 < len(close.reason.encode()) <= 123
