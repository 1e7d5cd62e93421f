"""The recoveries of a gateway, with a bus in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from relay.hub import Hub
from relay.interest import Acknowledged
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.recovery.recoveries import Recoveries
from relay.replay import Replay, Resume
from tests.recovery.late_history import LateHistory

NAMESPACES = Namespaces(
    named={"kept": ChannelOptions(history_size=10), "counted": ChannelOptions(positions=True)},
)


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload."""
    return message.payload + b" "


class Listener:
    """A subscriber that notes what it gets, and when it was told that it has missed something."""

    echo = True
    encode: Encoder = staticmethod(payload_only)

    def __init__(self, number: int, replay: Replay) -> None:
        self.id = number.to_bytes(16, "big")
        self.replay = replay
        self.got = "".join(message.payload.decode() + " " for message in replay.messages)

    def deliver(self, data: bytes, count: int) -> None:
        self.got += data.decode()

    def missed(self, channel: str, position: Position | None) -> None:
        self.got += f"missed, {position} "


class House:
    """Recoveries over a late history, with a hub that is flushed by hand."""

    def __init__(self, **options: float) -> None:
        self.counters = Counters()
        self.history = LateHistory(NAMESPACES)
        self.hub = Hub(self.counters, lambda: None)
        self.told: list[str] = []
        self.recoveries = Recoveries(
            NAMESPACES, self.history, self.hub, self.counters, self._missed, options.pop("grace", 60.0), **options
        )

    def _missed(self, channels: Collection[str]) -> None:
        for channel in channels:
            self.told.append(channel)
            for one in self.hub.receivers(channel):
                one.missed(channel, self.recoveries.position(channel))

    def claim(self, channel: str) -> Acknowledged:
        """Claim a channel; return what tells that the bus has acknowledged it."""
        acknowledged: Acknowledged = asyncio.get_running_loop().create_future()
        self.recoveries.claimed(channel, acknowledged)
        return acknowledged

    async def join(self, channel: str, resume: Resume = 0) -> Listener:
        """Return a client when it has joined."""
        reading = None
        while (awaited := self.recoveries.prepare(channel, resume, reading)) is not None:
            reading = await asyncio.shield(awaited) or reading
        replay = self.recoveries.join(channel, resume, reading)
        listener = Listener(self.hub.subscribers(channel), replay)
        self.hub.add(channel, listener)
        return listener

    async def opened(self, channel: str) -> Listener:
        """Return a client of a channel that is claimed and acknowledged."""
        self.claim(channel).set_result(None)
        return await self.join(channel)

    def publish(self, channel: str, text: str, *, lost: bool = False) -> Position:
        """Publish a message, which the bus brings, or not."""
        message = self.history.append(channel, text)
        if not lost:
            self.recoveries.receive(message)
            self.hub.flush()
        return message.position


@asynccontextmanager
async def house(**options: float) -> AsyncIterator[House]:
    """Check that nothing is left at the end."""
    found = House(**options)
    yield found
    await found.recoveries.stop()
    assert (len(found.recoveries), found.recoveries.buffered, found.recoveries.rings.owners) == (0, 0, 0)
