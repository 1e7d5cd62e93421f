"""Exceptions are one tree, hold data and say what they mean."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import relay
from relay import errors
from relay.errors import (
    BusUnavailable,
    CustomDisconnect,
    DeliveryUnknown,
    Disconnect,
    NotAllowed,
    ProtocolError,
    PublishBufferFull,
    PublishError,
    PublishRefused,
    Refused,
    RelayError,
    SubscribeError,
    SubscriptionError,
    Unavailable,
    comes_back,
)
from relay.settings.problem import SettingProblem, SettingsError


def exceptions() -> set[type[BaseException]]:
    """Return every exception class that a module of the package defines."""
    found = set()
    for info in pkgutil.walk_packages(relay.__path__, "relay."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for _, defined in inspect.getmembers(module, inspect.isclass):
            if issubclass(defined, BaseException) and defined.__module__ == info.name:
                found.add(defined)
    return found


def test_all_exceptions_are_one_tree() -> None:
    """So a program that embeds a gateway catches all of them by one name."""
    outside = {
        f"{error.__module__}.{error.__qualname__}" for error in exceptions() if not issubclass(error, RelayError)
    }
    assert outside == set()


def test_the_tree_on_top_of_the_module_is_the_one_below() -> None:
    """Each exception at its depth, and below its base."""
    assert errors.__doc__ is not None
    drawn = re.findall(
        r"^([ │├└─]*)(\w+)(?:  .*)?$", errors.__doc__.partition("\n\n")[2].partition("\n\n")[0], re.MULTILINE
    )
    bases: list[str] = []
    for indent, name in drawn:
        depth = len(indent) // 4
        bases[depth:] = [name]
        error = getattr(errors, name)
        assert [base.__name__ for base in reversed(error.__mro__) if issubclass(base, RelayError)] == bases
    in_module = {error.__name__ for error in exceptions() if error.__module__ == errors.__name__}
    assert {name for _, name in drawn} == in_module


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
    assert refused.cause == "not_found"
    assert str(NotAllowed("publish to", "lobby")) == "you may not publish to this channel"
    assert str(SubscriptionError("lobby", "the client is leaving")) == "channel 'lobby': the client is leaving"
    assert str(ProtocolError(Disconnect.UNEXPECTED_DATA, "a text")) == "unexpected data: a text"


@pytest.mark.parametrize("why", Unavailable)
def test_a_client_that_is_refused_for_now_is_told_why_and_counted(why: Unavailable) -> None:
    refused = Refused(503, why, {"Retry-After": "1"})
    assert (str(refused), refused.cause, refused.headers) == (why.sentence, why.cause, {"Retry-After": "1"})


def test_a_close_that_a_back_end_has_chosen_is_counted_as_forced() -> None:
    assert CustomDisconnect(4000, "enough").name == Disconnect.FORCE_DISCONNECT.name
