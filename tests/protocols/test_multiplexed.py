"""The protocol of several channels by which the tests show what a protocol may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.errors import ChannelError, NotAllowed, PublishRefused, SubscribeError, SubscriptionError
from relay.message import Kind
from relay.protocols import ClientProtocol
from tests.harness.whole_frames import frames_of
from tests.protocols.cases import CASES
from tests.protocols.recording import RecordingSession


@pytest.fixture
def protocol() -> ClientProtocol:
    """The protocol that answers."""
    (case,) = (case for case in CASES if case.name == "multiplexed")
    return case.make()


def say(protocol: ClientProtocol, session: RecordingSession, **command: object) -> None:
    """Let a client say a command."""
    protocol.received(session, Kind.TEXT, json.dumps(command).encode())


def told(session: RecordingSession) -> list[Any]:
    """Return what a client was sent."""
    return [json.loads(payload) for data in session.sent for _, payload in frames_of(data)]


def test_each_request_has_the_answer_with_its_id_whenever_it_comes(protocol: ClientProtocol) -> None:
    session = RecordingSession(settle=False)
    for number, name in enumerate("abc"):
        say(protocol, session, id=number + 1, subscribe=name)
    say(protocol, session, id=4, publish={"channel": "d", "data": 1})
    assert told(session) == []
    errors = {"b": SubscribeError("b", "late"), "d": PublishRefused("NOPERM")}
    for name in "dbca":
        outcome = session.outcomes[name]
        assert outcome is not None, "a failure would close the client"
        outcome(errors.get(name))
    assert [answer.get("ok") or answer["id"] for answer in told(session)] == [4, 2, True, True]
    assert [answer["id"] for answer in told(session)] == [4, 2, 3, 1]


@pytest.mark.parametrize(
    ("commands", "error"),
    [
        ([{"id": 7, "subscribe": "a b"}], ChannelError),
        ([{"id": 7, "subscribe": "secret"}], NotAllowed),
        ([{"id": 7, "publish": {"channel": "secret", "data": 1}}], NotAllowed),
        ([{"id": 7, "publish": {"channel": "", "data": 1}}], ChannelError),
        ([{"id": 6, "subscribe": "a"}, {"id": 7, "subscribe": "a"}], SubscriptionError),
        ([{"id": 7, "unsubscribe": "a"}], SubscriptionError),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_and_the_client_stays(
    protocol: ClientProtocol, commands: list[dict[str, object]], error: type[Exception]
) -> None:
    session = RecordingSession(allowed=lambda channel: channel != "secret")
    for command in commands:
        say(protocol, session, **command)
    answers = told(session)
    assert [answer["id"] for answer in answers] == [command["id"] for command in commands]
    assert "error" in answers[-1]
    assert "ok" not in answers[-1]
    assert session.closed == []
