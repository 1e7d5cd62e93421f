"""Clients that watch who comes to a channel, and who goes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from relay.channel import EVENTS
from relay.errors import Disconnect
from relay.member import PresenceEvents
from relay.message import Message
from relay.presence import presences
from relay.protocols.sse import WatchingEvents
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.leftovers import leaving_nothing
from tests.clients.presence_gateways import NAMESPACES, becomes
from tests.clients.presence_gateways import _hasty as _hasty
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.websocket_client import connected


async def test_who_comes_and_who_goes_is_told(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, "/sse/room:1?user=eve&join_leave=1") as watcher:
        assert await watcher.told(2) == [("watching", None), ("join", "eve")]
        async with connected(f"{gateway.url}/ws/room:1?user=ann", f"{gateway.url}/ws/room:1") as (ann, _):
            assert set((await watcher.told(4))[2:]) == {("join", "ann"), ("join", None)}
            said = watcher.presence[-1][1]
            assert set(said) == {"client", "user", "info"}
            assert len(said["client"]) == 32
            # Another client of the same user makes no difference.
            async with connected(f"{gateway.url}/ws/room:1?user=ann") as (other,):
                await other.send("hello")
                assert await watcher.receive(1) == ["hello"]
                await ann.close()
                await becomes(gateway, "room:1", None, "ann", "eve")
        assert set((await watcher.told(6))[4:]) == {("leave", "ann"), ("leave", None)}
        snapshot = await gateway.snapshot()
        assert (snapshot.gauges.presence_watchers, snapshot.counters.presence_events) == (1, 5)


async def test_who_comes_back_within_seconds_neither_goes_nor_comes(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 60, "batch_seconds": 0.01})
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as watcher:
        await watcher.told(2)
        for _ in range(3):
            async with connected(f"{gateway.url}/ws/room:1?user=ann"):
                await becomes(gateway, "room:1", None, "ann")
            await becomes(gateway, "room:1", None)
        async with connected(f"{gateway.url}/ws/room:1?user=bob"):
            assert await watcher.told(4) == [("watching", None), ("join", None), ("join", "ann"), ("join", "bob")]
        assert (await gateway.snapshot()).gauges.presence_lingering == 2


@pytest.mark.parametrize(
    ("target", "rights", "status", "reason"),
    [
        ("/sse/room:1?join_leave=1", "*=rw", 403, b"you may not see who is on this channel"),
        ("/sse/room:1?join_leave=1", "*=p", 403, b"you may not subscribe to this channel"),
        ("/sse/seen:1?join_leave=1", "*=rp", 400, b"join_leave: this channel doesn't tell"),
        ("/sse/lobby?join_leave=1", "*=rp", 400, b"join_leave: this channel doesn't tell"),
        ("/sse/room:1?join_leave=yes", "*=rp", 400, b"join_leave must be 1, or 0"),
    ],
)
async def test_who_may_not_watch_is_told_why(
    embedded: EmbeddedFactory, target: str, rights: str, status: int, reason: bytes
) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES, rights=rights)
    async with EventStreamClient(gateway.port, target) as client:
        await client.to_the_end()
        assert client.head.status == status
        assert reason in client.head.body


async def test_the_bus_is_asked_while_somebody_watches(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.node.UNSUBSCRIBE_DELAY_SECONDS", 0.0)
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    context = parts_of(gateway).context
    async with leaving_nothing(gateway), EventStreamClient(gateway.port, "/sse/room:1?join_leave=0") as other:
        for _ in range(2):
            async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as watcher:
                async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as second:
                    await watcher.told(2)
                    await second.told(2)
                    assert len(context.presence_watchers) == 2
                    assert EVENTS + "room:1" in context.node.hub._handlers
                await wait_until(lambda: len(context.presence_watchers) == 1)
            await wait_until(lambda: not len(context.presence_watchers))
            assert EVENTS + "room:1" not in context.node.hub._handlers
        await gateway.publish("room:1", "x")
        assert await other.receive(1) == ["x"]
        assert other.presence == []


class Taker:
    """Takes what is written to it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def send(self, data: bytes) -> None:
        """See `Watcher`."""
        self.taken.append(data)


async def test_the_bus_that_has_refused_is_asked_again_for_the_next_who_watches(
    embedded: EmbeddedFactory, late_bus: LateBus
) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    watchers = parts_of(gateway).context.presence_watchers
    first, second = Taker(), Taker()
    watchers.add(first, "room:1", WatchingEvents.presence)
    late_bus.refuse(f"{EVENTS}room:1")
    await asyncio.sleep(0)
    assert watchers.add(second, "room:1", WatchingEvents.presence) == b""
    late_bus.acknowledge(f"{EVENTS}room:1")
    await wait_until(lambda: bool(second.taken))
    assert first.taken == second.taken == [WatchingEvents.presence.begun]
    for client in (first, second):
        watchers.discard(client, "room:1", WatchingEvents.presence)
    assert parts_of(gateway).context.node._interests[f"{EVENTS}room:1"].claims == 0


async def test_watchers_are_told_when_they_may_have_missed_something(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    node = parts_of(gateway).context.node
    async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as watcher:
        await watcher.told(2)
        node.gap([f"{EVENTS}room:1", f"{EVENTS}room:2"], 1.0)
        assert (await watcher.told(3))[2] == ("watching", None)
        assert watcher.missed == []
        node.gap(["room:1"], 1.0)
        await gateway.publish("room:1", "x")
        await watcher.receive(1)
        assert (len(watcher.missed), len(watcher.presence)) == (1, 3)


async def test_what_can_not_be_read_is_counted_and_nobody_is_told(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    node = parts_of(gateway).context.node
    async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as watcher:
        await watcher.told(2)
        unreadable = [
            b"",
            b"{}",
            b'{"channel":"room:1","left":[{"client":1}]}',
            b"\xff",
            b'{"channel":"\xff"}',
            b'{"channel":"room:1","joined":[{"client":"1","user":"\xff"}]}',
            b'{"channel":"room:1","joined":[{"client":"1","info":%b}]}' % (b"[" * 100_000 + b"]" * 100_000),
        ]
        for payload in unreadable:
            node.receive(Message(f"{EVENTS}room:1", payload))
        assert gateway.counters.bus_errors == len(unreadable)
        node.receive(Message(f"{EVENTS}room:1", msgspec.json.encode(PresenceEvents("room:1"))))
        await gateway.publish("room:1", "x")
        await watcher.receive(1)
        assert len(watcher.presence) == 2


async def test_clients_can_not_subscribe_to_what_tells_of_a_channel(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    for way in ("sse", "poll"):
        assert (await get(gateway.port, f"/{way}/%20events:room:1?wait=0")).status == 400


async def test_a_watcher_that_does_not_read_is_closed_whatever_the_policy(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(
        1, namespaces=NAMESPACES, slow_consumer="drop", max_message_bytes=1024, send_buffer_bytes=1024
    )
    node = parts_of(gateway).context.node
    async with EventStreamClient(gateway.port, "/sse/room:1?join_leave=1", receive_buffer=2048) as watcher:
        await watcher.told(2)
        payload = b'{"channel":"room:1","joined":[%b]}' % b",".join([b'{"client":"%032d"}' % n for n in range(10_000)])
        for _ in range(20):
            node.receive(Message(f"{EVENTS}room:1", payload))
        assert gateway.counters.disconnects == {Disconnect.SLOW_CONSUMER.name: 1}
        assert await stays_true(lambda: len(parts_of(gateway).context.presence_watchers) == 0, 0.01)
