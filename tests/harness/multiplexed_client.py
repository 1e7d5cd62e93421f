"""A client of the multiplexed protocol of the tests, as its user would write it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.harness.conditions import PATIENCE_SECONDS, wait_until


class RequestError(Exception):
    """A request that the relay has answered with an error; its text is the relay's."""


class MultiplexedClient:
    """A connected client; a task reads all the time, and answers pings.

    Args:
        connection: whose handshake is done.
        pongs: whether it answers pings.

    Attributes:
        received: publications in the order of arrival: channel and data.
        pushes: everything else that no request has asked for.
        pings: how many came.
    """

    def __init__(self, connection: ClientConnection, *, pongs: bool = True) -> None:
        self.connection = connection
        self.received: list[tuple[str, Any]] = []
        self.pushes: list[dict[str, Any]] = []
        self.pings = 0
        self._pongs = pongs
        self._ids = itertools.count(1)
        self._requests: dict[int, asyncio.Future[None]] = {}
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url: str, subprotocol: str | None = None, *, pongs: bool = True) -> Self:
        """Connect to an address, perhaps with the name of a subprotocol."""
        offered = None if subprotocol is None else [Subprotocol(subprotocol)]
        connection = await connect(
            url, compression=None, proxy=None, ping_interval=None, max_size=None, subprotocols=offered, close_timeout=2
        )
        return cls(connection, pongs=pongs)

    @property
    def is_open(self) -> bool:
        """Whether the connection has not ended."""
        return not self._task.done()

    async def subscribe(self, *channels: str) -> None:
        """Subscribe to channels, and wait for the answers.

        Raises:
            RequestError: one of the answers is an error.
        """
        await self._all([await self.begin(subscribe=channel) for channel in channels])

    async def unsubscribe(self, *channels: str) -> None:
        """Unsubscribe from channels; see `subscribe`."""
        await self._all([await self.begin(unsubscribe=channel) for channel in channels])

    async def publish(self, channel: str, data: object) -> None:
        """Publish, and wait for the answer; see `subscribe`."""
        await self._all([await self.begin(publish={"channel": channel, "data": data})])

    async def begin(self, **request: object) -> asyncio.Future[None]:
        """Send a request; return a future of its answer."""
        number = next(self._ids)
        answer = self._requests[number] = asyncio.get_running_loop().create_future()
        await self.say({"id": number, **request})
        return answer

    async def say(self, value: object) -> None:
        """Send a JSON value."""
        await self.connection.send(json.dumps(value))

    async def receive(self, count: int, within: float = PATIENCE_SECONDS) -> list[tuple[str, Any]]:
        """Wait until so many publications have come in all; return all of them."""
        await wait_until(lambda: len(self.received) >= count, within, lambda: f"{count} publications; {self.received}")
        return self.received

    async def ended(self, within: float = PATIENCE_SECONDS) -> tuple[int | None, str | None]:
        """Wait until the connection has ended, and return close code and reason."""
        await wait_until(lambda: not self.is_open, within)
        return self.connection.close_code, self.connection.close_reason

    async def abort(self) -> None:
        """Drop the connection without a word."""
        self.connection.transport.abort()
        await self._task

    async def _all(self, answers: list[asyncio.Future[None]]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait(answers)
        for answer in answers:
            answer.result()

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self._take(json.loads(await self.connection.recv()))
        for answer in self._requests.values():
            answer.cancel()

    async def _take(self, said: dict[str, Any]) -> None:
        if "id" in said:
            answer = self._requests.pop(said["id"])
            if said == {"id": said["id"], "ok": True}:
                answer.set_result(None)
            else:
                answer.set_exception(RequestError(said["error"]))
                answer.exception()
        elif "channel" in said:
            self.received.append((said["channel"], said["data"]))
        elif said:
            self.pushes.append(said)
        else:
            self.pings += 1
            if self._pongs:
                await self.say({})


@asynccontextmanager
async def multiplexed(*urls: str, pongs: bool = True) -> AsyncIterator[list[MultiplexedClient]]:
    """Connect a client to each address; dropped at the end when still open."""
    async with AsyncExitStack() as stack:
        clients = []
        for url in urls:
            client = await MultiplexedClient.connect(url, pongs=pongs)
            stack.push_async_callback(client.abort)
            clients.append(client)
        yield clients
