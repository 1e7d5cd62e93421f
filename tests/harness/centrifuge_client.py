"""A client of the Centrifuge protocol over a WebSocket, as its user would write it; nothing of the relay's own code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.centrifuge.oracle.wire import WIRES, Json
from tests.harness.conditions import PATIENCE_SECONDS, wait_until


class CentrifugeClient:
    """A client; a task reads all the time, and answers pings.

    Args:
        connection: whose handshake is done.
        format: "json" or "protobuf".
        pongs: whether it answers pings.

    Attributes:
        pushes: in the order of arrival.
        pings: how many came.
    """

    def __init__(self, connection: ClientConnection, format: str, pongs: bool) -> None:
        self.connection = connection
        self.pushes: list[Json] = []
        self.pings = 0
        self._wire = WIRES[format]
        self._pongs = pongs
        self._id = 0
        self._replies: dict[int, Json] = {}
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, format: str = "json", *, pongs: bool = True) -> Self:
        """Open a connection; `connect` is not said yet."""
        offered = [Subprotocol("centrifuge-protobuf")] if format == "protobuf" else None
        connection = await connect(
            f"{url}/connection/websocket",
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=None,
            subprotocols=offered,
            close_timeout=2,
        )
        return cls(connection, format, pongs)

    async def ask(self, **request: Any) -> Json:
        """Send a command, and return the reply without its id."""
        number = await self.begin(**request)
        await wait_until(lambda: number in self._replies or not self.is_open, what=lambda: request)
        return self._replies[number]

    async def begin(self, **request: Any) -> int:
        """Send a command; return its id."""
        self._id += 1
        await self.say({"id": self._id, **request})
        return self._id

    async def say(self, *commands: Json) -> None:
        """Send commands."""
        with suppress(ConnectionClosed):
            await self.connection.send(self._wire.write(list(commands)))

    async def subscribe(self, channel: str, **request: Any) -> Json:
        """Subscribe, and return the result."""
        result: Json = (await self.ask(subscribe={"channel": channel, **request}))["subscribe"]
        return result

    def data(self, channel: str) -> list[Any]:
        """Return the data of the publications of a channel."""
        return [push["pub"]["data"] for push in self.pushes if push.get("channel") == channel and "pub" in push]

    def told(self, what: str) -> list[Json]:
        """Return what pushes of a kind say."""
        return [push[what] for push in self.pushes if what in push]

    @property
    def is_open(self) -> bool:
        """Whether the connection has not ended."""
        return not self._task.done()

    async def ended(self) -> tuple[int | None, str | None]:
        """Wait for the end of the connection; return code and reason."""
        await asyncio.wait_for(asyncio.shield(self._task), PATIENCE_SECONDS)
        return self.connection.close_code, self.connection.close_reason

    async def abort(self) -> None:
        """Drop the connection."""
        self.connection.transport.abort()
        await asyncio.wait([self._task])

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.connection:
                for said in self._wire.read(frame):
                    await self._take(said)

    async def _take(self, said: Json) -> None:
        if not said:
            self.pings += 1
            if self._pongs:
                await self.say({})
        elif "push" in said:
            self.pushes.append(said["push"])
        else:
            number = said.pop("id")
            assert number not in self._replies, "a second reply"
            self._replies[number] = said


@asynccontextmanager
async def centrifuge(*urls: str, format: str = "json", token: str = "") -> AsyncIterator[list[CentrifugeClient]]:
    """Connect clients, which have said `connect`; they are dropped at the end."""
    async with AsyncExitStack() as stack:
        clients = []
        for url in urls:
            client = await CentrifugeClient.open(url, format)
            stack.push_async_callback(client.abort)
            assert "connect" in await client.ask(connect={"token": token} if token else {})
            clients.append(client)
        yield clients
