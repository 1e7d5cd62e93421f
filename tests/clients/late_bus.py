"""A bus that acknowledges subscriptions when the test says so."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.memory import MemoryBroker
from relay.errors import SubscribeError


class LateBus:
    """Takes the place of the memory bus's subscriptions.

    Attributes:
        futures: of all channels that are asked for, as long as they are; shared by all that ask.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.futures: dict[str, asyncio.Future[None]] = {}
        unsubscribe = MemoryBroker.unsubscribe
        self._subscribe = MemoryBroker.subscribe
        self._brokers: list[MemoryBroker] = []

        def late(broker: MemoryBroker, channel: str) -> asyncio.Future[None]:
            if broker not in self._brokers:
                self._brokers.append(broker)
            if channel not in self.futures:
                self.futures[channel] = asyncio.get_running_loop().create_future()
            return self.futures[channel]

        def forget(broker: MemoryBroker, channel: str) -> None:
            if (future := self.futures.pop(channel, None)) is not None:
                future.cancel()
            unsubscribe(broker, channel)

        monkeypatch.setattr(MemoryBroker, "subscribe", late)
        monkeypatch.setattr(MemoryBroker, "unsubscribe", forget)

    @property
    def callbacks(self) -> int:
        """How many callbacks wait for acknowledgements."""
        return sum(len(future._callbacks or ()) for future in self.futures.values())

    def callbacks_of(self, channel: str) -> int:
        """How many of them wait for one channel."""
        return len((self.futures[channel]._callbacks if channel in self.futures else None) or ())

    def acknowledge(self, channel: str) -> None:
        """Acknowledge a subscription."""
        for broker in self._brokers:
            self._subscribe(broker, channel)
        self.futures[channel].set_result(None)

    def refuse(self, channel: str) -> None:
        """Refuse it."""
        future = self.futures.pop(channel)
        future.set_exception(SubscribeError(channel, "NOPERM"))
        future.exception()

    def cancel(self, channel: str) -> None:
        """Forget that it was asked for, as a bus does that is told to unsubscribe."""
        self.futures.pop(channel).cancel()


@pytest.fixture
def late_bus(monkeypatch: pytest.MonkeyPatch) -> LateBus:
    """A bus that acknowledges nothing by itself."""
    return LateBus(monkeypatch)
