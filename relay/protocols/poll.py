"""Long polling: a channel for clients that can do nothing but ask again and again.

    GET /poll/CHANNEL?wait=SECONDS&cursor=CURSOR        the first one may say history=N

    {"messages": [{"kind": "text", "text": "hello"}, {"kind": "binary", "base64": "AAE="}],
     "cursor": "...", "missed": false}

    and {..., "closed": {"code": 1001, "reason": "going away"}} when the relay has ended the subscription

Messages are kept until the client has shown that it has them, by asking with the cursor that came with them. So an
answer that got lost is given again. Where a channel has a history, that keeps them: the cursor is a position, and a
message has one, too: `"position": "EPOCH:OFFSET"`. Elsewhere the gateway keeps them for each client.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import deque
from dataclasses import dataclass
from typing import Final

import msgspec

from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position, PositionError, parse_position
from relay.protocols import CloseMessage, Session
from relay.protocols.listen_only import ListenOnly
from relay.protocols.request import ConnectRequest, requested_channel, requested_history
from relay.replay import Replay, Resume

ROOT = "/poll"

UNKNOWN: Final = Position("unknown", 0)
"""A position that no channel has: who asks with it is told that messages may be missing."""

MAX_WAIT_SECONDS = 25.0
"""How long an answer may be kept waiting: proxies commonly give up after 30 or 60 seconds."""

_WAIT = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?")
_ELEMENT = b'{"kind":"'
"""How each element begins. In a string within it the quotes would be escaped."""

_POSITION_FIELD = b',"position":"'
"""What stands before a position. In a string within an element the quotes would be escaped."""

_CURSOR = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{1,15})")


def encode(message: Message) -> bytes:
    """Return a message as an element of a JSON array, with the comma behind it: so elements can be joined."""
    end = b"},"
    if isinstance(message, PositionedMessage):
        end = b'%b%b"},' % (_POSITION_FIELD, str(message.position).encode())
    if message.kind is Kind.BINARY:
        return b'{"kind":"binary","base64":"' + b64encode(message.payload) + b'"' + end
    # Gateways let in valid UTF-8 only; another program on the bus may claim anything.
    return b'{"kind":"text","text":' + msgspec.json.encode(message.payload.decode(errors="replace")) + end


def last_position(elements: bytes) -> Position | None:
    """Return the position of the last of some encoded messages that has one; None: none has.

    Where messages have positions, others may come between: what a program publishes on the bus past the history.
    """
    _, found, behind = elements.rpartition(_POSITION_FIELD)
    return parse_position(behind[: behind.index(b'"')].decode()) if found else None


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
        resume: what it wants of the messages before.
    """

    __slots__ = ()

    transport = "poll"
    encode = staticmethod(encode)

    def newest(self, data: bytes) -> bytes:
        """Return the last of some elements."""
        return data[data.rindex(_ELEMENT) :]

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return the welcome, which a client gets that has not polled before."""
        return b"" if welcome is None or isinstance(self.resume, Position) else encode(welcome)

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Return the messages before the live ones."""
        return b"" if replay is None else b"".join(map(encode, replay.messages))

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes:
        """Return nothing: answers say it in a way of their own."""
        return b""

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
        history: how many of the newest messages it wants, when there is no cursor.
    """

    channel: str
    wait: float
    cursor: Cursor | Position | None
    history: int = 0

    @property
    def resume(self) -> Resume:
        """What it wants of the messages before, where a channel has a history."""
        return self.cursor if isinstance(self.cursor, Position) else self.history


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
    history = requested_history(request)
    return Poll(channel, float(wait), None if given is None else _read_cursor(given), history)


def _read_cursor(given: str) -> Cursor | Position:
    """Return a cursor.

    Raises:
        Refused: with 400; no answer has ever had it.
    """
    cursor = _CURSOR.fullmatch(given)
    if cursor is not None:
        return Cursor(cursor[1], int(cursor[2]))
    try:
        return parse_position(given)
    except PositionError:
        raise Refused(400, "cursor must be the one of the last answer, unchanged") from None


def answer(elements: bytes, cursor: Cursor | Position, missed: bool, closed: CloseMessage | None) -> bytes:
    """Return the JSON of an answer.

    Args:
        elements: encoded messages, joined.
        cursor: for the next poll.
        missed: whether messages may be missing before or among these.
        closed: why the subscription has ended; None: it has not.
    """
    ending = b""
    if closed is not None:
        ending = b',"closed":' + msgspec.json.encode({"code": closed.code, "reason": closed.reason})
    told = b"true" if missed else b"false"
    return b'{"messages":[%b],"cursor":"%b","missed":%b%b}\n' % (elements[:-1], str(cursor).encode(), told, ending)


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

    def conflate(self, message: bytes) -> tuple[int, int]:
        """Keep a message in place of all that are kept, which are missing then.

        Returns:
            The number and the bytes of those.
        """
        before = [piece for piece in self._pieces if piece is not None]
        self._first = self.end
        self._pieces = deque((None, message))
        self.bytes = len(message)
        return sum(piece.count(_ELEMENT) for piece in before), sum(map(len, before))

    def confirm(self, position: int) -> bool:
        """Forget what a client has; return False when its position is not one that an answer could have given it."""
        if not self._first <= position <= self.end:
            return False
        while self._first < position:
            self.bytes -= len(self._pieces.popleft() or b"")
            self._first += 1
        return True

    def answer(self, token: str, closed: CloseMessage | None = None) -> bytes:
        """Return the JSON of an answer with all that is kept.

        Args:
            token: names the subscription.
            closed: why the subscription has ended; None: it has not.
        """
        messages = b"".join(piece for piece in self._pieces if piece is not None)
        return answer(messages, Cursor(token, self.end), self.missed, closed)
