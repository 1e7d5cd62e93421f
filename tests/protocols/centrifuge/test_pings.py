"""Pings that clients answer, and which answers are too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from relay.errors import Disconnect, ProtocolError
from relay.message import Kind
from relay.protocols.centrifuge import json_wire
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.multiplexed import Answer, ConnectGrant, MultiplexedSession
from relay.protocols.request import ConnectRequest
from tests.protocols.recording import RecordingSession


class Session(RecordingSession):
    """A session whose client is not known before the test says it."""

    ping_seconds = 25.0
    answer: Answer[ConnectGrant]

    def connect(
        self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str], answer: Answer[ConnectGrant]
    ) -> None:
        self.answer = answer


@pytest.fixture
def session() -> Session:
    """A session of a client that has said who it is, and isn't known yet."""
    protocol = Centrifuge(json_wire(), ConnectRequest("/connection/websocket", {}, {}, "192.0.2.1"))
    session = Session(protocol)
    protocol.opened(cast(MultiplexedSession, session), None)
    says(session, b'{"id":1,"connect":{}}')
    return session


def says(session: Session, payload: bytes) -> None:
    """Let the client say something."""
    protocol = session.protocol
    assert protocol is not None
    protocol.received(cast(MultiplexedSession, session), Kind.TEXT, payload)
    session.give_turns(protocol)


def ping(session: Session) -> bytes | None:
    """Ping the client; return what it is sent."""
    assert session.protocol is not None
    return session.protocol.ping()


@pytest.mark.parametrize("pongs", [b"{}\n{}", b"{}"])
def test_a_client_that_was_busy_answers_all_its_pings_at_once(session: Session, pongs: bytes) -> None:
    """Whatever it says counts as a sign of life: so it may have several pings to answer."""
    session.answer(ConnectGrant())
    for _ in range(2):
        assert ping(session) == json_wire().ping
    says(session, pongs)
    if pongs == b"{}":
        says(session, pongs)
    with pytest.raises(ProtocolError) as refused:
        says(session, b"{}")
    assert refused.value.disconnect is Disconnect.UNEXPECTED_DATA


def test_a_client_is_not_pinged_before_it_knows_that_it_has_to_answer(session: Session) -> None:
    """The reply to its first command says so; official clients take no notice of a ping before."""
    assert ping(session) is None
    session.answer(ConnectGrant())
    with pytest.raises(ProtocolError):
        says(session, b"{}")
