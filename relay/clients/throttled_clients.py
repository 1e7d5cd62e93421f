"""Clients that have sent more than they may, and are not read for a while."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol

from relay.clients.session import Session
from relay.clients.turns import Turns, Waiting
from relay.errors import Disconnect
from relay.limits.limit import Limit, reached
from relay.limits.meter import UNLIMITED, Hold, Meter
from relay.metrics.counters import Counters

_DISCONNECTS: Final = {Limit.MESSAGES: Disconnect.MESSAGE_RATE, Limit.BYTES: Disconnect.BYTE_RATE}


class ThrottledClient(Waiting, Protocol):
    """A client whose rates are limited.

    Attributes:
        session: the client's.
    """

    session: Session

    def pause_reading(self) -> None:
        """Take in nothing more until `go_on`."""

    def fail(self, disconnect: Disconnect) -> None:
        """Close it: it has sent more than it may for too long."""


class _Throttled(NamedTuple):
    timer: asyncio.TimerHandle
    meter: Meter


class ThrottledClients:
    """Reads each of them again when it may go on; only they have a timer.

    Args:
        loop: the event loop of the clients.
        turns: of clients that have sent much.
        counters: where it is counted that a client is throttled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: Turns, counters: Counters) -> None:
        self._loop = loop
        self._turns = turns
        self._counters = counters
        self._throttled: dict[ThrottledClient, _Throttled] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._throttled)

    def hold(self, client: ThrottledClient, meter: Meter, hold: Hold) -> None:
        """Read a client no more for a while, or close it when that was tried for too long.

        Args:
            client: what was read of it already waits in its reader.
            meter: the client's.
            hold: what the meter says.
        """
        if hold.begins:
            session = client.session
            reached(hold.limit, self._counters, user=session.user, client=session.id.hex())
        if hold.failed:
            client.fail(_DISCONNECTS[hold.limit])
            return
        client.pause_reading()
        self._throttled[client] = _Throttled(self._loop.call_later(hold.seconds, self._go_on, client), meter)

    def release(self, client: ThrottledClient) -> None:
        """Take in what was read of a client at its next turn, because it leaves; nothing happens without a hold.

        It is held against no rates until its meter is reset: by then it must not be read on.
        """
        throttled = self._throttled.pop(client, None)
        if throttled is not None:
            throttled.timer.cancel()
            throttled.meter.reset(self._loop.time(), UNLIMITED)
            self._turns.add(client)

    def stop(self) -> None:
        """Let no client go on."""
        for throttled in self._throttled.values():
            throttled.timer.cancel()
        self._throttled.clear()

    def _go_on(self, client: ThrottledClient) -> None:
        del self._throttled[client]
        client.go_on()
