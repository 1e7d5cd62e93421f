"""An ordinary WebSocket client that keeps everything it receives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.history import Payload, check_history, first_disagreement
from tests.harness.tls_socket import NAME, TRUSTED


class WebSocketClient:
    """A connected client; a task reads all the time.

    Attributes:
        received: messages in the order of arrival.
        received_at: monotonic time of each.
        closed_at: monotonic time of the end of the connection; None before.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.received: list[Payload] = []
        self.received_at: list[float] = []
        self.closed_at: float | None = None
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Connect to `url`.

        Raises:
            websockets.exceptions.InvalidStatus: the handshake was refused.
        """
        options: dict[str, Any] = {}
        if url.startswith("wss://127.0.0.1:"):
            options = {"ssl": TRUSTED[urlsplit(url).port or 443], "server_hostname": NAME}
        connection = await connect(
            url,
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=None,
            max_queue=None,
            close_timeout=2,
            **options,
        )
        return cls(connection)

    @property
    def is_open(self) -> bool:
        """Whether the connection has not ended."""
        return self.closed_at is None

    @property
    def close_code(self) -> int | None:
        """Close code that the relay sent; 1006 without a closing handshake, None while open."""
        return None if self.is_open else self._connection.close_code

    @property
    def close_reason(self) -> str | None:
        """Reason that came with the close code."""
        return None if self.is_open else self._connection.close_reason

    async def send(self, message: Payload) -> None:
        """Send one message; waits while the socket is full.

        Raises:
            websockets.exceptions.ConnectionClosed: the connection has ended.
        """
        await self._connection.send(message)

    async def send_fragments(self, *fragments: Payload) -> None:
        """Send one message in several frames."""
        await self._connection.send(fragments)

    async def flushed(self) -> None:
        """Return when the relay has read everything sent so far: it answered a later ping."""
        await (await self._connection.ping())

    async def receive(self, count: int, within: float = PATIENCE_SECONDS) -> list[Payload]:
        """Wait until at least `count` messages were received in all, and return all of them."""
        await wait_until(lambda: len(self.received) >= count, within, lambda: f"{count} messages; {self!r}")
        return self.received

    async def ended(self, within: float = PATIENCE_SECONDS) -> tuple[int | None, str | None]:
        """Wait until the connection has ended, and return close code and reason."""
        await wait_until(lambda: not self.is_open, within, lambda: f"connection ended; {self!r}")
        return self.close_code, self.close_reason

    async def close(self) -> None:
        """Close with a closing handshake."""
        await self._connection.close()
        await self._task

    async def abort(self) -> None:
        """Drop the connection without a word."""
        self._connection.transport.abort()
        await self._task

    def __repr__(self) -> str:
        state = "open" if self.is_open else f"closed {self.close_code} {self.close_reason!r}"
        return f"<client {state}, received {len(self.received)}, last {self.received[-1:]!r:.80}>"

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self._connection.recv()
                self.received.append(message)
                self.received_at.append(time.monotonic())
        self.closed_at = time.monotonic()


async def all_arrived(
    clients: Sequence[WebSocketClient], sent: Mapping[str, int], within: float = PATIENCE_SECONDS
) -> None:
    """Wait until clients have received all numbered messages, and check that nothing is wrong with any history.

    Args:
        clients: clients that should have received all of `sent`.
        sent: how many messages each publisher sent.
        within: seconds.
    """
    total = sum(sent.values())
    await wait_until(
        lambda: all(len(client.received) >= total for client in clients),
        within,
        lambda: [(client, check_history(client.received, sent)) for client in clients],
    )
    for client in clients:
        assert not check_history(client.received, sent)
    assert first_disagreement([client.received for client in clients]) is None


@asynccontextmanager
async def connected(*urls: str) -> AsyncIterator[list[WebSocketClient]]:
    """Connect a client to each address, at the same time; dropped at the end when still open."""
    results = await asyncio.gather(*map(WebSocketClient.connect, urls), return_exceptions=True)
    clients = [result for result in results if isinstance(result, WebSocketClient)]
    try:
        for result in results:
            if isinstance(result, BaseException):
                raise result
        yield clients
    finally:
        await asyncio.gather(*(client.abort() for client in clients))
