"""The contract of a client protocol: what clients say, and what is said to them.

A protocol is pure: it knows no sockets, no event loop and no bus. It reads what a client has sent, and does it by the
verbs of the client's session. One contract suite, `tests/protocols/test_contract.py`, runs over all of them.

A protocol of WebSockets is one module that exports `endpoint`, and one line in `ENDPOINTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Protocol, cast

from relay.errors import CustomDisconnect, Disconnect, RelayError
from relay.member import PresenceEvents
from relay.message import Encoder, Kind, Message
from relay.position import Position
from relay.protocols.request import ConnectRequest
from relay.replay import Replay, Resume

PLAIN: Final = "relay.protocols.plain"

ENDPOINTS: dict[str, str] = {
    "/ws": PLAIN,
    "/connection": "relay.protocols.centrifuge",  # tells those that are wrong here where to go
    "/connection/websocket": "relay.protocols.centrifuge",
    "/connection/uni_websocket": "relay.protocols.centrifuge.uni_websocket",
}
"""Path, or name of a subprotocol → module of the protocol that WebSockets speak at this path or below it, or with this
subprotocol. A path has a slash in front, and the longest that fits counts; subprotocols win. At any other path a client
is told where to go."""

STREAMS: Final = {
    "/connection/sse": ("GET", "POST"),
    "/connection/http_stream": ("POST",),
    "/connection/uni_sse": ("GET", "POST"),
    "/connection/uni_http_stream": ("POST",),
}
"""Path → methods of requests whose responses don't end; see `relay.protocols.streams`."""

STREAMS_MODULE: Final = "relay.protocols.centrifuge.streams"
"""Speaks what is spoken there."""

Outcome = Callable[["RelayError | None"], None]
"""Called once with what became of a request: None when it was done. Never after the client has left. Must not raise."""


class Session(Protocol):
    """What a protocol can do for one client; for one of several channels see `relay.protocols.multiplexed`.

    Attributes:
        id: 16 bytes, unique over all gateways; the origin of the client's messages.
    """

    id: bytes

    @property
    def user(self) -> str | None:
        """The client's name; None when it has none."""

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels to which the client is subscribed, or is about to be."""

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        """Send a message to all clients of a channel, on all gateways.

        Args:
            channel: its name.
            payload: the bytes; valid UTF-8 when the kind is TEXT.
            kind: text or binary.
            outcome: called, during the call or later, when the bus has the message, or with why it hasn't:
                `PublishError`; the client stays. None: it is not told of success, and a failure closes it. A protocol
                that is multiplexed gives one.

        Raises:
            ChannelError: the name is not legal.
            NotAllowed: the client has no right to.
            ProtocolError: the message is too big for the channel.
        """

    def send(self, data: bytes) -> None:
        """Write bytes to the client, in order with what is delivered to it: of a WebSocket whole frames.

        They are never left out for a slow consumer: one that has no room for them is closed, whatever the policy.
        Nothing is written once the client is being closed.
        """

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the connection, as the protocol says it; see `ClientProtocol.closing`."""


@dataclass(frozen=True, slots=True)
class CloseMessage:
    """How a protocol tells a client that it is being closed.

    Args:
        code: close code (RFC 6455, section 7.4).
        reason: at most 123 bytes of UTF-8.
        last: bytes that are written before; of a WebSocket whole frames.
    """

    code: int
    reason: str
    last: bytes = b""


class PresenceFormat(Protocol):
    """How clients of one wire format are told who comes to a channel and who goes; one object for each format."""

    @property
    def begun(self) -> bytes:
        """What is written when a client hears of all who come and go from then on: of those before, perhaps not. Empty:
        it has no word for that."""

    def encode(self, events: PresenceEvents) -> bytes:
        """Return what is written when users have come or gone."""


class ClientProtocol(Protocol):
    """One client's side of a protocol; one object for each client, or one for all where nothing is kept."""

    @property
    def encode(self) -> Encoder:
        """Encodes messages: one function object for each wire format; see `Encoder`."""

    @property
    def transport(self) -> str:
        """How the client is connected, in a word, for metrics."""

    @property
    def multiplexed(self) -> bool:
        """Whether the client may subscribe to further channels: then it is a `MultiplexedProtocol`, and its session a
        `MultiplexedSession`. All that one tick brings it goes out in one write."""

    @property
    def channel(self) -> str | None:
        """The channel to which the client is subscribed before its handshake is answered; None: to none."""

    @property
    def echo(self) -> bool:
        """Whether the client gets its own messages back."""

    @property
    def resume(self) -> Resume:
        """What the client wants of the messages of `channel` before; 0: nothing."""

    @property
    def presence(self) -> PresenceFormat | None:
        """How the client is told who comes to `channel` and who goes; None: it isn't."""

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Be told that the client is there.

        Args:
            session: the client's.
            welcome: the message with which this relay welcomes clients; None: it doesn't.

        Returns:
            What is written to it first.
        """

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Be told what the client gets of the messages before; right after `opened`.

        Args:
            session: the client's.
            replay: of `channel`; None: its messages have no positions.

        Returns:
            What is written to it then, in front of the live messages.
        """

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes | Disconnect:
        """Be told that messages of a channel may be missing, because of a gap that could not be filled.

        Args:
            session: the client's.
            channel: one of its channels.
            position: after which the channel goes on; None: its messages have no positions.

        Returns:
            What is written to the client, in order with its messages; or why it has to be closed, as nothing that can
            be written tells it.
        """

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Do what the client has sent.

        Args:
            session: the client's.
            kind: text, or binary.
            payload: one whole message; valid UTF-8 when the kind is TEXT.

        Raises:
            ProtocolError: the client broke the protocol, and has to be closed.
        """

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Be told that a back end has ended a subscription of the client; it has ended already."""

    def ping(self) -> bytes | None:
        """Return what is sent to learn whether the client is there; None: a WebSocket's ping."""

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return how the client is told why it is being closed."""


class SingleChannelProtocol(ClientProtocol, Protocol):
    """One whose clients have a channel each: they may miss messages for being slow, where it says so."""

    def newest(self, data: bytes) -> bytes:
        """Return the last of some messages.

        Args:
            data: what `encode` has returned for each, joined.
        """


class Endpoint(Protocol):
    """What the module of a WebSocket protocol exports as `endpoint`."""

    def select_subprotocol(self, offered: Sequence[str], accepted: Sequence[str]) -> str | None:
        """Return the subprotocol to speak (RFC 6455, section 1.9); None: none of those that the client offers.

        Args:
            offered: by the client, in its order; may be empty.
            accepted: RELAY_SUBPROTOCOLS.
        """

    def open(self, request: ConnectRequest, default_channel: str) -> ClientProtocol:
        """Return the protocol of a client that connects.

        Args:
            request: its opening handshake.
            default_channel: RELAY_DEFAULT_CHANNEL.

        Raises:
            Refused: what it asks for is not in order.
        """


def find_endpoint(path: str, offered: Sequence[str]) -> Endpoint:
    """Return the endpoint of a WebSocket.

    Args:
        path: of the request, still percent-encoded.
        offered: the subprotocols that the client offers.
    """
    for name in offered:
        if name in ENDPOINTS:
            return cast(Endpoint, _load(ENDPOINTS[name]))
    found, module = "", PLAIN
    for root, there in ENDPOINTS.items():
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/") and len(root) >= len(found):
            found, module = root, there
    return cast(Endpoint, _load(module))


def stream_endpoint() -> Any:
    """Return the `relay.protocols.streams.StreamEndpoint` of `STREAMS`."""
    return _load(STREAMS_MODULE)


@cache
def _load(module: str) -> Any:
    """Import a protocol's module, once: even an import of what is there already costs each handshake 2 µs."""
    return import_module(module).endpoint
