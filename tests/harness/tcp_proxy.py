"""A TCP proxy that can fall silent, as a broken network does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.harness.slow_line import SlowLine


class TcpProxy:
    """Forwards connections to the first of some ports of 127.0.0.1 that answers. An async context manager.

    A black hole neither forwards nor closes: connections stay open, new ones are taken, and nothing comes
    back. TCP itself stays healthy, so only somebody who expects an answer can notice. A mute one forwards what comes
    from the target, and nothing of what clients say; a deaf one the other way round. A slow one lets bytes
    take their time.

    Args:
        targets: ports to forward to; the later ones are for the time when the earlier ones are away.
        in_turn: give each connection the next target, as a name with several addresses may.
        tls: what to speak towards clients; None: nothing but TCP.
        buffer: bytes that the kernel may hold of what a target has sent, before and behind this proxy; None for its
            default.

    Attributes:
        targets: for connections to come, it may be changed at any time.
        port: port to connect to.
        accepted: connections taken since the start.
    """

    def __init__(
        self,
        *targets: int,
        in_turn: bool = False,
        tls: ssl.SSLContext | None = None,
        buffer: int | None = None,
    ) -> None:
        self.targets = targets
        self._buffer = buffer
        self._in_turn = in_turn
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._pipes: set[_Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hole = False
        self._mute = False
        self._deaf = False
        self._pace = 0.0, 0.0
        self.accepted = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many connections are open on the client's side."""
        return sum(side.is_client for side in self._pipes)

    @property
    def black_hole(self) -> bool:
        """Whether nothing is forwarded."""
        return self._hole

    @black_hole.setter
    def black_hole(self, hole: bool) -> None:
        self._hole = hole
        for side in list(self._pipes):
            side.obey()

    @property
    def mute(self) -> bool:
        """Whether what clients say is not forwarded."""
        return self._mute

    @mute.setter
    def mute(self, mute: bool) -> None:
        self._mute = mute
        for side in list(self._pipes):
            side.obey()

    @property
    def deaf(self) -> bool:
        """Whether what the target says is not forwarded."""
        return self._deaf

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        self._deaf = deaf
        for side in list(self._pipes):
            side.obey()

    @property
    def pace(self) -> tuple[float, float]:
        """By how many seconds bytes are delayed, and how many bytes a second pass on each connection; 0: any number."""
        return self._pace

    def slow_down(self, delay_seconds: float = 0.0, bytes_per_second: float = 0.0) -> None:
        """Let bytes take their time, in both directions; without arguments they need none again."""
        self._pace = delay_seconds, bytes_per_second
        for side in list(self._pipes):
            side.line.pace(delay_seconds, bytes_per_second)

    def cut(self) -> None:
        """Abort all connections."""
        for side in list(self._pipes):
            side.transport.abort()

    def joined(self, side: _Side) -> None:
        """Note a connection, and connect a client's one onwards."""
        self._pipes.add(side)
        # Not before the event loop reads from the new socket: CPython 3.11.2 forgets a pause that is older than that.
        asyncio.get_running_loop().call_soon(side.obey)
        if side.is_client:
            self.accepted += 1
            if self._buffer is not None:
                accepted = side.transport.get_extra_info("socket")
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
            task = asyncio.create_task(self._connect(side))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def left(self, side: _Side) -> None:
        """Forget a connection."""
        self._pipes.discard(side)

    async def _connect(self, client: _Side) -> None:
        loop = asyncio.get_running_loop()
        targets = self.targets
        if self._in_turn:
            self.targets = (*targets[1:], targets[0])
        for target in targets:
            with suppress(OSError):
                _, server = await loop.create_connection(lambda: _Side(self, client), sock=await self._reach(target))
                break
        else:
            client.transport.abort()
            return
        if client.transport.is_closing():
            server.transport.abort()
            return
        client.peer = server
        client.obey()

    async def _reach(self, target: int) -> socket.socket:
        """Return a socket that is connected to a target.

        Raises:
            OSError: it doesn't answer.
        """
        reached = socket.socket()
        try:
            reached.setblocking(False)
            if self._buffer is not None:
                reached.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
            await asyncio.get_running_loop().sock_connect(reached, ("127.0.0.1", target))
        except BaseException:
            reached.close()
            raise
        return reached


class _Side(asyncio.Protocol):
    """One end of a forwarded connection; a client's one has no peer until the target has answered."""

    transport: asyncio.Transport
    line: SlowLine

    def __init__(self, proxy: TcpProxy, client: _Side | None = None) -> None:
        self._proxy = proxy
        self._full = False
        # What came before it could go on: TLS delivers what a client sends with the end of its handshake at once.
        self._early = bytearray()
        self.peer = client
        self.is_client = client is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.line = SlowLine(self._pass_on, self.obey)
        self.line.pace(*self._proxy.pace)
        self._proxy.joined(self)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self._proxy.black_hole:
            self._early += data
            self.transport.pause_reading()
        else:
            self.line.send(data)
            if self.line.full:
                self.transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True
        if self.peer is not None:
            self.peer.obey()

    def resume_writing(self) -> None:
        self._full = False
        if self.peer is not None:
            self.peer.obey()

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.left(self)
        if exc is None:
            self.line.end_pace()
        self.line.close()
        if self.peer is not None:
            if exc is None:
                self.peer.transport.close()
            else:
                self.peer.transport.abort()

    def obey(self) -> None:
        """Read when the data can go on, and not otherwise."""
        if self.transport.is_closing():
            return
        silent = self._proxy.mute if self.is_client else self._proxy.deaf
        if self.peer is None or self._proxy.black_hole or self.peer._full or silent or self.line.full:
            self.transport.pause_reading()
        else:
            if self._early:
                early = bytes(self._early)
                self._early.clear()
                self.line.send(early)
            self.transport.resume_reading()

    def _pass_on(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.transport.write(data)
