"""The command `relay` with faults that an attack brings out: python -m tests.attacks.faulty_relay FAULTS serve.

An attacker is told by its address; see `tests.attacks.attacker.ADDRESSES`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from relay.cli import main
from relay.clients.client import Client
from relay.clients.websocket import WebSocket

DELAY_SECONDS: Final = 0.02
KEPT_BYTES: Final = 200_000
MOST_KEPT: Final = 500
LOST_OF: Final = 1000
"""One of so many deliveries is lost once an attacker has come."""

Fault = Callable[[], None]


def delay() -> None:
    """Stop everything for a while."""
    time.sleep(DELAY_SECONDS)


_kept: list[bytes] = []


def keep() -> None:
    """Remember something large of an attacker that has gone."""
    if len(_kept) < MOST_KEPT:
        _kept.append(b"x" * KEPT_BYTES)


_deliver = Client.deliver
_deliveries = count(1)


def _lose_some(self: Client, data: bytes, messages: int) -> None:
    if next(_deliveries) % LOST_OF:
        _deliver(self, data, messages)


def lose() -> None:
    """Lose messages from now on."""
    Client.deliver = _lose_some  # type: ignore[method-assign, assignment]


FAULTS: Final[dict[str, Fault]] = {"delay": delay, "keep": keep, "lose": lose}


def plant(faults: list[Fault]) -> None:
    """Let each WebSocket of an attacker bring out the faults."""
    take_over = WebSocket.take_over

    def take_over_with_faults(self: WebSocket, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        take_over(self, transport, response, received)
        peer = transport.get_extra_info("peername")  # None: it has gone already
        if peer is not None and peer[0].startswith("127.0.1."):
            for fault in faults:
                fault()

    WebSocket.take_over = take_over_with_faults  # type: ignore[method-assign]


if __name__ == "__main__":
    plant([FAULTS[name] for name in sys.argv.pop(1).split(",")])
    main(prog_name="relay")
