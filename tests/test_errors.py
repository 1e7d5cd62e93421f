"""Errors hold data and say what they mean."""

from __future__ import annotations

import pytest

from relay.errors import (
    BusUnavailable,
    DeliveryUnknown,
    Disconnect,
    PublishBufferFull,
    PublishError,
    PublishRefused,
    Refused,
    SettingProblem,
    SettingsError,
    SubscribeError,
    comes_back,
)


@pytest.mark.parametrize("disconnect", Disconnect)
def test_every_disconnect_fits_into_a_close_frame(disconnect: Disconnect) -> None:
    """RFC 6455: a control frame holds 125 bytes, two of them the code; codes below 1000 don't exist."""
    assert 1000 <= disconnect.code < 5000
    assert 0 < len(disconnect.reason.encode()) <= 123


def test_disconnects_are_told_apart_by_reason() -> None:
    assert len({disconnect.reason for disconnect in Disconnect}) == len(Disconnect)


def test_a_client_stays_away_after_its_own_faults_and_when_a_back_end_says_so() -> None:
    for code in (1000, 1001, 1006, 1011, 1012, 1013, 3000, 3499, 4000, 4499):
        assert comes_back(code), code
    for code in (1002, 1003, 1007, 1008, 1009, 3500, 3503, 3999, 4500, 4999):
        assert not comes_back(code), code


@pytest.mark.parametrize("kind", [BusUnavailable, DeliveryUnknown, PublishBufferFull, PublishRefused])
def test_publish_errors_close_with_try_again_later(kind: type[PublishError]) -> None:
    error = kind("NOPERM secret detail")
    assert error.disconnect.code == 1013
    assert "secret" not in error.disconnect.reason
    assert "secret detail" in str(error)


def test_settings_error_lists_every_problem() -> None:
    error = SettingsError([SettingProblem("RELAY_PORT", "'x'", "0..65535"), SettingProblem("RELAY_HOST", "''", "text")])
    assert str(error).splitlines() == [
        "RELAY_PORT: got 'x'; allowed: 0..65535",
        "RELAY_HOST: got ''; allowed: text",
    ]


def test_other_errors_say_what_was_refused() -> None:
    assert str(SubscribeError("lobby", "NOPERM")) == "subscribing to 'lobby' was refused: NOPERM"
    refused = Refused(404, "no WebSocket here")
    assert (refused.status, str(refused)) == (404, "no WebSocket here")
