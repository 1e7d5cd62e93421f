"""Handshakes that are carried out together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from relay.gateway import handshake_queue
from relay.gateway.handshake_queue import HandshakeQueue, Steps
from relay.gateway.opening_request import OpeningRequests
from relay.gateway.proxy_phase import ProxyPhase
from relay.protocols.usual_upgrade import UsualUpgrade
from tests.conftest import EmbeddedFactory
from tests.fuzz.memory_transport import MemoryTransport
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


class Journal:
    """Notes the steps of handshakes."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def handshake(self, name: str, steps: int) -> Steps:
        """Return a handshake that ends behind so many steps."""
        for step in range(steps):
            self.steps.append(f"{name}{step}")
            if step + 1 < steps:
                yield


async def test_each_step_is_taken_for_all_before_the_next() -> None:
    journal = Journal()
    queue = HandshakeQueue(asyncio.get_running_loop())
    for name, steps in {"a": 3, "b": 1, "c": 2}.items():
        queue.add(journal.handshake(name, steps))
    assert not journal.steps
    await asyncio.sleep(0)
    assert journal.steps == ["a0", "b0", "c0", "a1", "c1", "a2"]


async def test_others_have_their_turn_between_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake_queue, "HANDSHAKES_PER_TICK", 2)
    journal = Journal()
    queue = HandshakeQueue(asyncio.get_running_loop())
    for name in "abcde":
        queue.add(journal.handshake(name, 1))
    taken = []
    while len(journal.steps) < 5:
        await asyncio.sleep(0)
        taken.append(len(journal.steps))
    assert taken == [2, 4, 5]


async def test_one_that_comes_while_others_are_carried_out_is_not_forgotten() -> None:
    journal = Journal()
    queue = HandshakeQueue(asyncio.get_running_loop())

    def adding() -> Iterator[None]:
        queue.add(journal.handshake("later", 1))
        yield

    queue.add(adding())  # type: ignore[arg-type]
    await wait_until(lambda: journal.steps == ["later0"])


async def test_one_that_raises_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal()
    queue = HandshakeQueue(asyncio.get_running_loop())

    def raising() -> Iterator[None]:
        yield
        raise ZeroDivisionError

    for steps in (journal.handshake("a", 3), raising(), journal.handshake("b", 3)):
        queue.add(steps)  # type: ignore[arg-type]
    await wait_until(lambda: journal.steps == ["a0", "b0", "a1", "b1", "a2", "b2"])
    assert "handshake failed" in caplog.text


UPGRADE = (
    b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_a_client_that_leaves_before_its_turn_is_not_let_in(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    front_door = parts_of(gateway).front_door
    loop = asyncio.get_running_loop()
    stays, leaves = (MemoryTransport(loop, ProxyPhase(front_door, "127.0.0.1")) for _ in range(2))
    for transport in (leaves, stays):
        transport.send(UPGRADE)
    protocol = leaves.get_protocol()
    assert isinstance(protocol, asyncio.Protocol)
    protocol.connection_lost(ConnectionResetError())
    await wait_until(lambda: stays.written.startswith(b"HTTP/1.1 101"))
    assert not leaves.written
    assert gateway.counters.connections_accepted == 1
    stays.reset()


async def test_a_fault_in_one_leaves_the_others_alone(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    read = OpeningRequests.read_usual_upgrade

    def faulty(self: OpeningRequests, usual: UsualUpgrade, *given: Any) -> object:
        if usual.target == "/ws/faulty":
            raise ZeroDivisionError
        return read(self, usual, *given)

    with patch.object(OpeningRequests, "read_usual_upgrade", faulty):
        async with RawWebSocket(gateway.port) as one, RawWebSocket(gateway.port) as other:
            refused, answer = await asyncio.gather(one.upgrade("/ws/faulty"), other.upgrade("/ws/a"))
    assert refused.status == 500
    assert b"its log has the reason" in refused.body
    assert answer.status == 101
