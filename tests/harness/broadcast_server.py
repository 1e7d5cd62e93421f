"""A plain WebSocket server that passes messages on, for tests of those who talk to one. It is no part of the relay."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.harness.conditions import wait_until
from tests.harness.raw_websocket import TEXT
from tests.harness.server_session import Pace, ServerSession

BACKLOG = 1024
_RECEIVE_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF)


@dataclass(frozen=True, slots=True)
class Message:
    """What a client published.

    Args:
        sender: who.
        number: how many this sender has published before.
        payload: what.
        opcode: 1 for text, 2 for binary.
    """

    sender: ServerSession
    number: int
    payload: bytes
    opcode: int = TEXT


class BroadcastServer:
    """Passes each message of ws://…/ws/CHANNEL to all other clients of the channel. An async context manager.

    Servers with faults override one of its steps: `answer`, `pass_on`, `deliver`.

    Args:
        echo: whether a sender gets its own messages, too.
        pace: how bytes leave; None: each frame at once.
        receive_buffer: bytes that the kernel may hold unread of each client; None for its default.

    Attributes:
        port: TCP port, on 127.0.0.1.
        accepted: TCP connections taken since the start.
        sessions: connections that are there.
        past: those that are gone.
        members: who is in which channel.
        published: how many messages came for which channel.
        deliveries: how many messages each session was sent.
        pongs: payloads of the pongs that came.
    """

    def __init__(self, *, echo: bool = False, pace: Pace | None = None, receive_buffer: int | None = None) -> None:
        self.pace = pace
        self.port = 0
        self.accepted = 0
        self.sessions: list[ServerSession] = []
        self.past: list[ServerSession] = []
        self.members: defaultdict[str, list[ServerSession]] = defaultdict(list)
        self.published: Counter[str] = Counter()
        self.deliveries: Counter[ServerSession] = Counter()
        self.pongs: list[bytes] = []
        self._sent_by: Counter[ServerSession] = Counter()
        self._echo = echo
        self._receive_buffer = receive_buffer
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ServerSession(self), "127.0.0.1", self.port, backlog=BACKLOG, reuse_address=True
        )
        (listener,) = self._server.sockets
        if self._receive_buffer is not None:
            listener.setsockopt(*_RECEIVE_BUFFER, self._receive_buffer)
        self.port = listener.getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.die()

    async def die(self) -> None:
        """Drop all connections and listen no more, as the death of a process does."""
        assert self._server is not None
        self._server.close()
        for session in self.sessions:
            session.abort()
        await wait_until(lambda: not self.sessions, what="connections are gone")

    @property
    def url(self) -> str:
        """Address without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def messages(self) -> int:
        """How many were published since the start."""
        return self.published.total()

    def connected(self, session: ServerSession) -> None:
        """Note a new connection."""
        self.accepted += 1
        self.sessions.append(session)

    def answer(self, session: ServerSession) -> bytes | None:
        """Grant every wish for a WebSocket."""
        return session.request.switching

    def opened(self, session: ServerSession) -> None:
        """Let a client join the channel that its address names."""
        self.join(session, session.request.channel)

    def join(self, session: ServerSession, channel: str) -> None:
        """Let a client hear a channel."""
        self.members[channel].append(session)

    def received(self, session: ServerSession, opcode: int, payload: bytes) -> None:
        """Take a message for the channel that the client's address names."""
        self.publish(session, session.request.channel, payload, opcode)

    def publish(self, session: ServerSession, channel: str, payload: bytes, opcode: int = TEXT) -> None:
        """Pass a message to all who have to get it."""
        message = Message(session, self._sent_by[session], payload, opcode)
        self._sent_by[session] += 1
        self.published[channel] += 1
        members = self.members[channel]
        self.pass_on(message, channel, [member for member in members if self._echo or member is not session])

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        """Deliver a message to each of its receivers."""
        for receiver in receivers:
            self.deliver(receiver, message)

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        """Send a message to one receiver, when it can still get any."""
        if receiver.open:
            self.deliveries[receiver] += 1
            receiver.send(message.payload, message.opcode)

    def ponged(self, session: ServerSession, payload: bytes) -> None:
        """Note a pong."""
        self.pongs.append(payload)

    def ended(self, session: ServerSession) -> None:
        """Forget a connection."""
        self.sessions.remove(session)
        self.past.append(session)
        for members in self.members.values():
            if session in members:
                members.remove(session)
