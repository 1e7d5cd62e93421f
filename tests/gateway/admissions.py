"""Authenticators, rights, and clients that come in by each way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, Settings
from relay.auth.authenticator import Identity
from relay.protocols.request import ConnectRequest
from tests.clients.late_bus import late_bus as late_bus
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket

HOST = b"Host: localhost\r\nOrigin: https://page.example\r\n"

WAYS = {
    "websocket": b"GET /ws/a HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "event stream": b"GET /sse/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "poll": b"GET /poll/a?wait=0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "publish": b"POST /publish/a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
}
"""The requests of all who want something of a channel."""

SUBSCRIBERS = ("websocket", "event stream", "poll")

every_way = pytest.mark.parametrize("way", WAYS)

every_way = pytest.mark.parametrize("way", WAYS)


class Authenticator:
    """Does what the test wants, and notes who has asked.

    Args:
        answer: called for each request.

    Attributes:
        asked: the paths of the requests.
        cancelled: how many answers were not waited for.
    """

    def __init__(self, answer: Callable[[], Identity | Awaitable[Identity]] = lambda: Identity("ann")) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.cancelled = 0

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """See `relay.auth.authenticator.Authenticator`."""
        self.asked.append(request.path)
        return self._answer()

    @classmethod
    def waiting_for(cls, event: asyncio.Event) -> Authenticator:
        """Return one that answers after an event."""

        async def wait() -> Identity:
            try:
                await event.wait()
            except asyncio.CancelledError:
                authenticator.cancelled += 1
                raise
            return Identity("ann")

        authenticator = cls(wait)
        return authenticator


class Rights:
    """Rights to nothing but what is named."""

    def __init__(self, *, subscribe: str = "", publish: str = "", history: str = "") -> None:
        self._subscribe, self._publish, self._history = subscribe, publish, history
        self.asked: list[tuple[str, str]] = []

    def may_subscribe(self, channel: str) -> bool:
        self.asked.append(("subscribe", channel))
        return channel == self._subscribe

    def may_publish(self, channel: str) -> bool:
        self.asked.append(("publish", channel))
        return channel == self._publish

    def may_read_history(self, channel: str) -> bool:
        self.asked.append(("history", channel))
        return channel == self._history

    def may_see_presence(self, channel: str) -> bool:
        return False


@asynccontextmanager
async def guarded(authenticator: Authenticator, **settings: Any) -> AsyncIterator[Gateway]:
    """Run a gateway with an authenticator; check that nothing waits in it at the end."""
    given = {"port": 0, "drain_seconds": 0, "ping_interval": 3600, "allowed_origins": ("https://page.example",)}
    async with Gateway(Settings(**{**given, **settings}), authenticator=authenticator) as gateway:
        parts = parts_of(gateway)
        yield gateway
        await wait_until(lambda: not parts.front_door._waiting)


async def ask(client: RawWebSocket, way: str) -> HttpResponse:
    """Send a request, and return its answer."""
    await client.send(WAYS[way])
    return await client.response()


def success(way: str) -> int:
    """Return the status of those who are let in."""
    return 101 if way == "websocket" else 200


def refusals(gateway: Gateway, way: str) -> dict[str, int]:
    """Return how many were refused, by reason; messages by their status."""
    counted = gateway.counters.api_requests if way == "publish" else gateway.counters.connections_refused
    return dict(counted)


def nothing_is_left(gateway: Gateway) -> bool:
    """Return whether no client and no request has left anything."""
    parts = parts_of(gateway)
    return (
        len(parts.context.registry) == 0
        and len(parts.front_door.http.connections) == 0
        and parts.context.node.interests == 0
        and not parts.front_door._waiting
    )
