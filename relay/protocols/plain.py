"""The plain protocol: a WebSocket is a channel, every message is a message. No client library needed.

`ws://HOST/ws/CHANNEL`; `/` and `/ws` mean the default channel. `?echo=1`: also get one's own messages. `?history=N`:
get the newest N messages first, of a channel that keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relay.errors import CustomDisconnect, Disconnect, NotAllowed, ProtocolError, Refused
from relay.message import Kind, Message
from relay.position import Position
from relay.protocols import CloseMessage, Session
from relay.protocols.frame import encode_frame, last_frame
from relay.protocols.request import ConnectRequest, requested_channel, requested_history
from relay.replay import Replay

ROOT = "/ws"

FIRST_OFFERED: Final = "*"


class Plain:
    """What a client of the plain protocol says; see `relay.protocols.ClientProtocol`.

    Args:
        channel: the one channel that it listens to and writes to.
        echo: whether it gets its own messages back.
        history: how many of the newest messages it gets first.
    """

    __slots__ = ("channel", "echo", "resume")

    encode = staticmethod(encode_frame)
    transport = "websocket"
    multiplexed = False
    presence = None

    def __init__(self, channel: str, echo: bool, history: int = 0) -> None:
        self.channel = channel
        self.echo = echo
        self.resume = history

    def newest(self, data: bytes) -> bytes:
        """Return the last of some frames."""
        return last_frame(data)

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return the welcome."""
        return b"" if welcome is None else encode_frame(welcome)

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Publish a message.

        Raises:
            ProtocolError: the client has no right to. It can't be told otherwise.
        """
        try:
            session.publish(self.channel, payload, kind)
        except NotAllowed as error:
            raise ProtocolError(Disconnect.NOT_ALLOWED, str(error)) from None

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Return the messages before the live ones."""
        return b"" if replay is None else b"".join(map(encode_frame, replay.messages))

    def missed(self, session: Session, channel: str, position: Position | None) -> Disconnect:
        """Close the client: it has no words but those of its channel."""
        return Disconnect.MISSED

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Close the client: without its channel there is nothing left for it."""
        session.close(Disconnect.UNSUBSCRIBED)

    def ping(self) -> None:
        """Ping as WebSockets do."""

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the close code and the reason as they are."""
        return CloseMessage(why.code, why.reason)


class PlainEndpoint:
    """Where clients of the plain protocol connect; see `relay.protocols.Endpoint`."""

    def select_subprotocol(self, offered: Sequence[str], accepted: Sequence[str]) -> str | None:
        """Return the subprotocol to speak with a client; None: none that it offers is accepted.

        It changes nothing here: messages pass untouched, and what they mean is between the clients of a channel.

        Args:
            offered: by the client, in its order.
            accepted: in the order of preference; `FIRST_OFFERED` stands for whatever the client names first.
        """
        for name in accepted:
            if name in offered:
                return name
            if name == FIRST_OFFERED and offered:
                return offered[0]
        return None

    def open(self, request: ConnectRequest, default_channel: str) -> Plain:
        """Read what a client asks for.

        Raises:
            Refused: with 404 for a path that isn't a WebSocket endpoint, with 400 for a bad channel or parameter.
        """
        if request.path == "/":
            channel = default_channel
        elif request.path == ROOT or request.path.startswith(ROOT + "/"):
            channel = requested_channel(request, ROOT, default_channel)
        else:
            raise Refused(404, "no WebSocket here; connect to /ws/CHANNEL")
        echo = request.query.get("echo", "0")
        if echo not in ("0", "1"):
            raise Refused(400, "echo must be 0 or 1")
        return Plain(channel, echo == "1", requested_history(request))


endpoint = PlainEndpoint()
