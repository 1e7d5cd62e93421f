"""Server-sent events: a channel as a stream that a browser's `EventSource` reads (HTML Living Standard, section 9.2).

    GET /sse/CHANNEL        ?history=N, or Last-Event-ID: POSITION, or ?last_event_id=POSITION; ?join_leave=1

    text            data: LINE        an event `message`; a `data:` line for each line of the text
    other text      event: text       base64; see `encode`
    binary          event: binary     base64
    heartbeat       :                 a comment
    end             event: close      {"code": 1001, "reason": "going away"}: what a WebSocket is told
    a gap           event: missed     {"position": "EPOCH:OFFSET"}: messages before it may be missing
    join_leave=1    event: watching   {}: all joins and leaves are told from here on; some before may be missing
                    event: join       {"client": ID, "user": NAME or null, "info": JSON or null}
                    event: leave      the same

Events of a channel that counts its messages have their position as `id:`, and so has the first block: a browser sends
the last one that it got when it comes back.
"""

from __future__ import annotations

import random
from base64 import b64encode

import msgspec

from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.member import Member, PresenceEvents
from relay.message import Kind, Message, PositionedMessage
from relay.position import Position, PositionError, parse_position
from relay.protocols import CloseMessage, Session
from relay.protocols.listen_only import ListenOnly
from relay.protocols.request import ConnectRequest, requested_channel, requested_history
from relay.replay import Replay

ROOT = "/sse"

HEARTBEAT = b":\n\n"

RETRY_MILLISECONDS = (1000, 5000)
"""Bounds of the pause after which a client comes back; each gets another, so that not all come at once."""

LINE_BYTES = len(b"\ndata: ") - 1
"""By how much each further line of a text makes its event longer."""

SPARE_BYTES = 1024
"""By how much `data:` lines may be longer than base64, so that no short text is sent encoded for its lines alone."""


def encode(message: Message) -> bytes:
    """Return the event that carries a message.

    A carriage return ends a line in this format as a line feed does, and a reader gets a line feed for either.
    So a text that has one travels as base64, by an event name of its own: nothing is changed on the way. A text
    of next to nothing but line feeds does, too: as `data:` lines it would be seven times as long, and fill the
    buffers of its readers.
    """
    if isinstance(message, PositionedMessage):
        return _id(message.position) + _event(message)
    return _event(message)


def _id(position: Position) -> bytes:
    """Return the line with which a browser takes note of a position."""
    return b"id: %b\n" % str(position).encode()


def _event(message: Message) -> bytes:
    """Return an event without its id."""
    payload = message.payload
    if message.kind is Kind.BINARY:
        return b"event: binary\ndata: " + b64encode(payload) + b"\n\n"
    lines = payload.count(b"\n")
    if b"\r" in payload or lines * LINE_BYTES > len(payload) // 3 + SPARE_BYTES:
        return b"event: text\ndata: " + b64encode(payload) + b"\n\n"
    if lines:
        payload = payload.replace(b"\n", b"\ndata: ")
    # The space is the format's own: a reader takes away one, so one that the text begins with stays.
    return b"data: " + payload + b"\n\n"


class ServerSentEvents(ListenOnly):
    """What is said to a client that reads events; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that it listens to.
        resume: what it wants of the messages before.
    """

    __slots__ = ()

    transport = "event_stream"
    encode = staticmethod(encode)

    def newest(self, data: bytes) -> bytes:
        """Return the last of some events: none has an empty line within."""
        return data[data.rfind(b"\n\n", 0, -2) + 2 :] if b"\n\n" in data[:-2] else data

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return how long to wait before connecting again, and the welcome."""
        retry = b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)  # noqa: S311  # spreads load, guards nothing
        return retry if welcome is None else retry + encode(welcome)

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Return where it begins, and the messages from there; or that it can't be told what it has missed."""
        if replay is None:
            return _missed(None) if isinstance(self.resume, Position) else b""
        if not replay.recovered:
            return _missed(replay.position)
        return _id(replay.start) + b"\n" + b"".join(map(encode, replay.messages))

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes:
        """Return an event."""
        return _missed(position)

    def ping(self) -> bytes:
        """Return a comment."""
        return HEARTBEAT

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the last event, which says what a close frame would."""
        last = b"event: close\ndata: " + msgspec.json.encode({"code": why.code, "reason": why.reason}) + b"\n\n"
        return CloseMessage(why.code, why.reason, last)


def _missed(position: Position | None) -> bytes:
    """Return the event that tells that messages may be missing, and the position after which the stream goes on."""
    told = None if position is None else str(position)
    event = b"event: missed\ndata: " + msgspec.json.encode({"position": told}) + b"\n\n"
    return event if position is None else _id(position) + event


class _JoinLeave:
    """How these clients are told who comes and who goes; see `relay.protocols.PresenceFormat`."""

    __slots__ = ()

    begun = b"event: watching\ndata: {}\n\n"

    def encode(self, events: PresenceEvents) -> bytes:
        """Return an event for each user."""
        left = [_member_event(b"leave", member) for member in events.left]
        return b"".join(left + [_member_event(b"join", member) for member in events.joined])


def _member_event(event: bytes, member: Member) -> bytes:
    """Return the event that tells of a client."""
    info = None if member.info is msgspec.UNSET else member.info
    shown = {"client": member.client, "user": member.user, "info": info}
    # JSON that an application has written may have line ends between its values, where a space says the same.
    data = msgspec.json.encode(shown).replace(b"\n", b" ").replace(b"\r", b" ")
    return b"event: %b\ndata: %b\n\n" % (event, data)


class WatchingEvents(ServerSentEvents):
    """What is said to a client that wants to hear who comes and who goes, too."""

    __slots__ = ()

    presence = _JoinLeave()


def open_session(request: ConnectRequest, default_channel: str) -> ServerSentEvents:
    """Read what a client asks for.

    A position counts more than a number of messages: a browser that comes back asks by the same URL again.

    Raises:
        Refused: with 404 for a path that isn't one of these, with 400 for a bad channel or parameter.
    """
    channel = requested_channel(request, ROOT, default_channel)
    history = requested_history(request)
    make = WatchingEvents if _wants_presence(request) else ServerSentEvents
    # What a browser has got last is newer than what stood in the URL before.
    last = request.header("Last-Event-ID") or request.query.get("last_event_id")
    if not last:
        return make(channel, history)
    try:
        return make(channel, parse_position(last))
    except PositionError as error:
        raise Refused(400, f"Last-Event-ID: {error}") from None


def _wants_presence(request: ConnectRequest) -> bool:
    """Return whether a client wants to hear who comes and who goes; raises `Refused` for what is no answer to that."""
    given = request.query.get("join_leave", "0")
    if given not in ("0", "1"):
        raise Refused(400, "join_leave must be 1, or 0")
    return given == "1"
