"""Long polling: a channel for clients that can do nothing but ask again and again.

    GET /poll/CHANNEL?wait=SECONDS&cursor=CURSOR

    {"messages": [{"kind": "text", "text": "hello"}, {"kind": "binary", "base64": "AAE="}],
     "cursor": "...", "missed": false}

    and {..., "closed": {"code": 1001, "reason": "going away"}} when the relay has ended the subscription

Messages are kept until the client has shown that it has them, by asking with the cursor that came with them. So an
answer that got lost is given again.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import deque
from dataclasses import dataclass

import msgspec

from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.message import Kind, Message
from relay.protocols import CloseMessage, Session
from relay.protocols.listen_only import ListenOnly
from relay.protocols.request import ConnectRequest, requested_channel

ROOT = "/poll"

MAX_WAIT_SECONDS = 25.0
"""How long an answer may be kept waiting: proxies commonly give up after 30 or 60 seconds."""

_WAIT = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?")
_CURSOR = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{1,15})")


def encode(message: Message) -> bytes:
    """Return a message as an element of a JSON array, with the comma behind it: so elements can be joined."""
    if message.kind is Kind.BINARY:
        return b'{"kind":"binary","base64":"' + b64encode(message.payload) + b'"},'
    # Gateways let in valid UTF-8 only; another program on the bus may claim anything.
    return b'{"kind":"text","text":' + msgspec.json.encode(message.payload.decode(errors="replace")) + b"},"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a client has come.

    Args:
        token: names its subscription; a secret.
        position: how many pieces of its backlog it has.
    """

    token: str
    position: int

    def __str__(self) -> str:
        return f"{self.token}.{self.position}"


class LongPolling(ListenOnly):
    """What is said to a client that polls; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that it listens to.
    """

    __slots__ = ()

    encode = staticmethod(encode)

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return the welcome."""
        return b"" if welcome is None else encode(welcome)

    def ping(self) -> None:
        """Nothing: a client that is there asks again."""

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the code and the reason, which stand in the last answer."""
        return CloseMessage(why.code, why.reason)


@dataclass(frozen=True, slots=True)
class Poll:
    """One request of a client.

    Args:
        channel: the channel that it listens to.
        wait: seconds to wait for a message when there is none yet.
        cursor: that of the last answer; None at first.
    """

    channel: str
    wait: float
    cursor: Cursor | None


def open_session(request: ConnectRequest, default_channel: str) -> Poll:
    """Read what a client asks for.

    Raises:
        Refused: with 404 for a path that isn't one of these, with 400 for a bad channel or parameter.
    """
    channel = requested_channel(request, ROOT, default_channel)
    wait = request.query.get("wait", f"{MAX_WAIT_SECONDS:g}")
    if not _WAIT.fullmatch(wait) or float(wait) > MAX_WAIT_SECONDS:
        raise Refused(400, f"wait must be 0 to {MAX_WAIT_SECONDS:g} seconds")
    given = request.query.get("cursor")
    if given is None:
        return Poll(channel, float(wait), None)
    cursor = _CURSOR.fullmatch(given)
    if cursor is None:
        raise Refused(400, "cursor must be the one of the last answer, unchanged")
    return Poll(channel, float(wait), Cursor(cursor[1], int(cursor[2])))


class Backlog:
    """Messages that a client has not confirmed yet, in numbered pieces; a piece is what one fan-out brought.

    Args:
        limit_bytes: what it may hold.

    Attributes:
        bytes: what it holds.
    """

    __slots__ = ("_first", "_limit_bytes", "_pieces", "bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.bytes = 0
        self._first = 0
        # None stands for messages that were missed.
        self._pieces: deque[bytes | None] = deque()

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self._pieces)

    @property
    def end(self) -> int:
        """Position of a client that has everything."""
        return self._first + len(self._pieces)

    @property
    def missed(self) -> bool:
        """Whether something is missing."""
        return None in self._pieces

    def add(self, data: bytes) -> bool:
        """Keep encoded messages, unless there is no room for them; return whether they are kept.

        One piece has always room, as a write to a socket that isn't full has; a fan-out is bounded by the hub.
        """
        if self.bytes and self.bytes + len(data) > self._limit_bytes:
            return False
        self._pieces.append(data)
        self.bytes += len(data)
        return True

    def add_gap(self) -> None:
        """Note that messages are missing here."""
        if not self._pieces or self._pieces[-1] is not None:
            self._pieces.append(None)

    def confirm(self, position: int) -> bool:
        """Forget what a client has; return False when its position is not one that an answer could have given it."""
        if not self._first <= position <= self.end:
            return False
        while self._first < position:
            self.bytes -= len(self._pieces.popleft() or b"")
            self._first += 1
        return True

    def answer(self, token: str, closed: tuple[int, str] | None = None) -> bytes:
        """Return the JSON of an answer with all that is kept.

        Args:
            token: names the subscription.
            closed: why the subscription has ended, as WebSocket close code and reason; None: it has not.
        """
        messages = b"".join(piece for piece in self._pieces if piece is not None)
        missed = b"true" if self.missed else b"false"
        ending = b""
        if closed is not None:
            ending = b',"closed":' + msgspec.json.encode({"code": closed[0], "reason": closed[1]})
        cursor = str(Cursor(token, self.end)).encode()
        return b'{"messages":[%b],"cursor":"%b","missed":%b%b}\n' % (messages[:-1], cursor, missed, ending)
