"""Servers that speak as much of other projects' protocols as a load test needs: their framing, pings and strictness."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tests.harness.broadcast_server import BroadcastServer, Message
from tests.harness.raw_websocket import TEXT
from tests.harness.server_session import ServerSession

PING_SECONDS = 0.3
PATIENCE_SECONDS = 3.0
GATHER_SECONDS = 0.02
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

Json = dict[str, Any]


class RivalServer(BroadcastServer):
    """A server with one address for all, subscriptions by message, and pings of its own that must be answered.

    Args:
        ping_every: seconds from one ping to the next, when it was answered.
        patience: seconds in which one has to be answered; longer than a busy machine needs.
        options: see `BroadcastServer`.

    Attributes:
        pinged: pings sent to each session.
        answered: answers that each session gave.
    """

    TARGET = ""

    def __init__(self, ping_every: float = PING_SECONDS, patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        super().__init__(**options)
        self._ping_every = ping_every
        self._patience = patience
        self._pinged_at: dict[ServerSession, float] = {}
        self.pinged: Counter[ServerSession] = Counter()
        self.answered: Counter[ServerSession] = Counter()

    def answer(self, session: ServerSession) -> bytes | None:
        return super().answer(session) if session.request.target == self.TARGET else NOT_FOUND

    def start_pings(self, session: ServerSession) -> None:
        """Ping a session now and then, until it is gone; hang up on it when it doesn't answer for too long."""
        if not session.open:
            return
        if self.pinged[session] == self.answered[session]:
            self.pinged[session] += 1
            self._pinged_at[session] = time.monotonic()
            self.ping(session)
        elif time.monotonic() - self._pinged_at[session] > self._patience:
            self.unanswered(session)
            return
        asyncio.get_running_loop().call_later(self._ping_every, self.start_pings, session)

    def ping(self, session: ServerSession) -> None:
        """Send one ping."""
        raise NotImplementedError

    def unanswered(self, session: ServerSession) -> None:
        """Hang up."""
        raise NotImplementedError


class CentrifugoLike(RivalServer):
    """JSON commands, replies and pushes, several per frame, one per line. Senders hear themselves."""

    TARGET = "/connection/websocket"

    def __init__(self, ping_every: float = PING_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(ping_every, patience, echo=True)
        self._lines: defaultdict[ServerSession, list[str]] = defaultdict(list)
        self._known: set[ServerSession] = set()

    def opened(self, session: ServerSession) -> None:
        """Wait for commands."""

    def received(self, session: ServerSession, opcode: int, payload: bytes) -> None:
        for line in payload.decode().strip().split("\n"):
            try:
                command: Json = json.loads(line)
                self._obey(session, command)
            except (ValueError, KeyError, TypeError, AttributeError):
                session.close(3501, "bad request")
                return

    def _obey(self, session: ServerSession, command: Json) -> None:
        if command == {}:
            self.answered[session] += 1
            return
        number = command["id"]
        if "connect" in command:
            self._known.add(session)
            self._say(session, {"id": number, "connect": {"client": "x", "version": "6", "ping": 25, "pong": True}})
            self.start_pings(session)
        elif session not in self._known:
            session.close(3501, "bad request")
        elif "subscribe" in command:
            self.join(session, command["subscribe"]["channel"])
            self._say(session, {"id": number, "subscribe": {}})
        else:
            data = json.dumps(command["publish"]["data"]).encode()
            self.publish(session, command["publish"]["channel"], data)
            self._say(session, {"id": number, "publish": {}})

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        push = {"push": {"channel": channel, "pub": {"data": json.loads(message.payload)}}}
        for receiver in receivers:
            self.deliveries[receiver] += 1
            self._say(receiver, push)

    def ping(self, session: ServerSession) -> None:
        self._say(session, {})

    def unanswered(self, session: ServerSession) -> None:
        session.close(3012, "no pong")

    def _say(self, session: ServerSession, reply: Json) -> None:
        if not self._lines[session]:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush, session)
        self._lines[session].append(json.dumps(reply, separators=(",", ":")))

    def _flush(self, session: ServerSession) -> None:
        session.send("\n".join(self._lines.pop(session)).encode())


class SocketIoLike(RivalServer):
    """Engine.IO and Socket.IO packets over a WebSocket, and an application with the events "join" and "publish"."""

    TARGET = "/socket.io/?EIO=4&transport=websocket"

    def opened(self, session: ServerSession) -> None:
        session.send(b'0{"sid":"e","upgrades":[],"pingInterval":300,"pingTimeout":300,"maxPayload":1000000}')
        asyncio.get_running_loop().call_later(self._ping_every, self.start_pings, session)

    def received(self, session: ServerSession, opcode: int, payload: bytes) -> None:
        text = payload.decode()
        if text == "3":
            self.answered[session] += 1
        elif text == "40":
            self.join(session, "")
            session.send(b'40{"sid":"s"}')
        elif session not in self.members[""]:
            session.end()
        elif text.startswith("42["):
            event, channel, *rest = json.loads(text[2:])
            if event == "join":
                self.join(session, channel)
                session.send(f'42["joined",{json.dumps(channel)}]'.encode())
            elif event == "publish":
                self.publish(session, channel, f'42["message",{json.dumps(rest[0])}]'.encode(), TEXT)
        else:
            session.end()

    def ping(self, session: ServerSession) -> None:
        session.send(b"2")

    def unanswered(self, session: ServerSession) -> None:
        session.end()
