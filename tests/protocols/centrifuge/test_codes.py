"""The numbers of the Centrifuge protocol."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from centrifuge.codes import _ERROR_CODE_UNRECOVERABLE_POSITION, _ErrorCode

from relay.errors import OWN_FAULTS, CustomDisconnect, Disconnect, comes_back
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.failures import close_of
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.pushes import Unsubscribe
from relay.protocols.centrifuge.results import Error

ERRORS = [value for value in vars(codes).values() if isinstance(value, Error)]
UNSUBSCRIBES = [value for value in vars(codes).values() if isinstance(value, Unsubscribe)]
DISCONNECTS = [value for value in vars(codes).values() if isinstance(value, Close)]


def test_errors_have_codes_of_the_protocol() -> None:
    assert [error.code for error in ERRORS] == [100, 103, 105, 106, 107, 108, 109, 111, 112]
    assert [error.code for error in ERRORS if error.temporary] == [100, 111]
    assert codes.ERROR_TOKEN_EXPIRED.code == _ErrorCode.TOKEN_EXPIRED.value
    assert codes.ERROR_UNRECOVERABLE_POSITION.code == _ERROR_CODE_UNRECOVERABLE_POSITION


def test_ends_of_subscriptions_have_codes_of_the_protocol() -> None:
    assert [end.code for end in UNSUBSCRIBES] == [2000, 2500, 2501]


def test_closes_have_codes_of_the_protocol() -> None:
    come_back = [3001, 3004, 3005, 3006, 3008, 3010, 3012, 3013]
    stay_away = [*range(3500, 3506), 3507, 3508]
    assert [close.code for close in DISCONNECTS] == come_back + stay_away


@pytest.mark.parametrize("close", DISCONNECTS, ids=lambda close: str(close.code))
def test_reasons_fit_into_a_close_frame(close: Close) -> None:
    assert 0 < len(close.reason.encode()) <= 123


@pytest.mark.parametrize("why", Disconnect)
def test_each_reason_to_close_has_a_code_by_which_the_client_does_what_it_should(why: Disconnect) -> None:
    """Come again, or not; but where a right has ended, or the line is bad, or too much came, it is to come again."""
    close = close_of(why)
    assert close in DISCONNECTS
    own_fault = why.code in OWN_FAULTS
    assert (close is codes.DISCONNECT_SERVER_ERROR) <= (not own_fault)
    again = {3005, 3006, 3012, 3013}
    stays_away = (
        close.code not in again and (own_fault or not comes_back(why.code)) and why is not Disconnect.UNSUBSCRIBED
    )
    assert comes_back(close.code) is not stays_away


def made_in(module: Path) -> int:
    """Return in how many places a module makes an error, an end of a subscription or a close."""
    tree = ast.parse(module.read_text())
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("relay.protocols.centrifuge.")
        for alias in node.names
        if alias.name in ("Error", "Unsubscribe", "Disconnect") and node.module != "relay.protocols.centrifuge.codes"
    }
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(getattr(call, "id", getattr(call, "attr", "")) in names for call in calls)


def test_nothing_but_the_table_and_what_a_back_end_chooses_makes_codes() -> None:
    """So no other is ever sent; `test_every_code` reaches each of the table."""
    folder = Path(codes.__file__).parents[2]
    found = Counter({module.stem: count for module in sorted(folder.rglob("*.py")) if (count := made_in(module))})
    of_table = len(ERRORS) + len(UNSUBSCRIBES) + len(DISCONNECTS)
    assert found == {
        "codes": of_table,
        "failures": 1,  # a back end's `disconnect`
        "procedure_calls": 1,  # a back end's answer to a call
        "streamed": 1,  # the same close as a push
    }


def test_a_back_end_chooses_any_code_and_reason() -> None:
    assert close_of(CustomDisconnect(4242, "so")) == Close(4242, "so")
