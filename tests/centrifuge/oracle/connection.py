"""One client of a script: what it sends, and what it has heard and not told yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.centrifuge.oracle.wire import Json, Wire

PATIENCE_SECONDS = 60.0


class Connection:
    """A WebSocket that answers the pings of the protocol, and collects everything else.

    Args:
        websocket: it is open.
        wire: its format.
        pongs: whether pings are answered.

    Attributes:
        replies, pushes: those that have come and weren't taken.
        pings: how many have come and weren't taken.
        closed: code and reason, once the server has closed it.
        next_id: of the next command.
        connected: whether the server has let it in.
        too_early: channels of which a publication came before the reply to `subscribe`.
    """

    def __init__(self, websocket: ClientConnection, wire: Wire, pongs: bool) -> None:
        self._websocket = websocket
        self._wire = wire
        self._pongs = pongs
        self._changed = asyncio.Event()
        self._asked: dict[int, str] = {}
        self.replies: list[Json] = []
        self.pushes: list[Json] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.next_id = 1
        self.connected = False
        self.too_early: list[str] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, wire: Wire, pongs: bool = True) -> Self:
        """Connect to a server."""
        subprotocols = [Subprotocol(name) for name in wire.subprotocols]
        options: dict[str, Any] = {"subprotocols": subprotocols} if subprotocols else {}
        websocket = await open_websocket(url, ping_interval=None, proxy=None, **options)
        return cls(websocket, wire, pongs)

    async def send(self, commands: list[Json]) -> int:
        """Send commands in one frame, and return how many replies they get."""
        expected = 0
        for command in commands:
            if command and "send" not in command and "id" not in command:
                command["id"] = self.next_id
                self.next_id += 1
            if "id" in command:
                expected += 1
                if "subscribe" in command:
                    self._asked[command["id"]] = command["subscribe"].get("channel", "")
        await self.send_frame(self._wire.write(commands))
        return expected

    async def send_frame(self, content: str | bytes) -> None:
        """Send a frame as it stands."""
        with suppress(ConnectionClosed):  # the reader says what for
            await self._websocket.send(content)

    async def heard(self, replies: int = 0, pushes: int = 0, pings: int = 0) -> bool:
        """Wait for as many, or for the end of the connection; return whether it was in time."""

        def enough() -> bool:
            return len(self.replies) >= replies and len(self.pushes) >= pushes and self.pings >= pings

        return await self._until(enough)

    async def ended(self) -> bool:
        """Wait for the end of the connection; return whether it was in time."""
        return await self._until(lambda: self.closed is not None)

    async def leave(self) -> None:
        """Close it."""
        await self._websocket.close()
        await self._reader

    def take(self, replies: int, pushes: int) -> tuple[list[Json], list[Json]]:
        """Return the first ones that were heard, and forget them: replies by their ids, pushes as they came."""
        taken = sorted(self.replies[:replies], key=lambda reply: int(reply.get("id", 0))), self.pushes[:pushes]
        del self.replies[:replies], self.pushes[:pushes]
        return taken

    async def _until(self, condition: Callable[[], bool]) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not condition() and self.closed is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _read(self) -> None:
        with suppress(ConnectionClosed):  # by an unclean end
            async for frame in self._websocket:
                for said in self._wire.read(frame):
                    await self._take(said)
                self._changed.set()
        self.closed = (int(self._websocket.close_code or 1006), self._websocket.close_reason or "")
        self._changed.set()

    async def _take(self, said: Json) -> None:
        if not said:
            self.pings += 1
            if self._pongs:
                await self.send_frame(self._wire.write([{}]))
        elif "push" in said:
            if said["push"].get("channel") in self._asked.values() and "pub" in said["push"]:
                self.too_early.append(said["push"]["channel"])
            self.pushes.append(said["push"])
        else:
            self._asked.pop(said.get("id", 0), None)
            self.connected |= "connect" in said
            self.replies.append(said)
