"""A small multiplexed protocol that exists only in the tests: JSON objects over a WebSocket.

    {"id": 1, "subscribe": "news"}                               what a client says
    {"id": 2, "unsubscribe": "news"}
    {"id": 3, "publish": {"channel": "news", "data": [1, 2]}}
    {}                                                           the answer to a ping

    {"id": 1, "ok": true} or {"id": 1, "error": "..."}           what it is told
    {"channel": "news", "data": [1, 2]}
    {"unsubscribed": "news"}
    {"subscribed": "news"}                                       a back end has subscribed it
    {"expired": "news"}                                          its right to a channel has ended
    {"missed": "news", "position": "EPOCH:OFFSET"}
    {}                                                           a ping

It proves that a protocol needs no change in `relay/` but its registration.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from relay.errors import (
    ChannelError,
    CustomDisconnect,
    Disconnect,
    NotAllowed,
    ProtocolError,
    Refused,
    RelayError,
    SubscriptionError,
)
from relay.message import Encoder, Kind, Message
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols import CloseMessage, Outcome, PresenceFormat, Session
from relay.protocols.frame import encode_frame
from relay.protocols.multiplexed import MultiplexedSession, ServerSubscription, Subscribed
from relay.protocols.request import ConnectRequest
from relay.replay import Replay

NAME = "multiplexed.tests"
"""As a subprotocol."""

CODES = {
    Disconnect.GOING_AWAY: 4001,
    Disconnect.SLOW_CONSUMER: 4002,
    Disconnect.KEEPALIVE_TIMEOUT: 4003,
    Disconnect.UNEXPECTED_DATA: 4004,
    Disconnect.MISSED: 4005,
    Disconnect.FORCE_DISCONNECT: 4500,
}

OTHER_CODE = 4000

Id = Annotated[int, Meta(ge=1, lt=2**53)]


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """What a client publishes."""

    channel: str
    data: msgspec.Raw


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says; exactly one of the last three."""

    id: Id | UnsetType = UNSET
    subscribe: str | UnsetType = UNSET
    unsubscribe: str | UnsetType = UNSET
    publish: Publication | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(Command)

PING = encode_frame(Message("", b"{}"))


def frame(value: Any) -> bytes:
    """Return the frame of a JSON value."""
    return encode_frame(Message("", msgspec.json.encode(value)))


def encode(message: Message) -> bytes:
    """Return the frame of a publication."""
    text = message.payload.decode(errors="replace")
    try:
        data: object = msgspec.Raw(message.payload) if message.kind is Kind.TEXT and is_json(text) else text
    except ValueError:
        data = text
    return frame({"channel": message.channel, "data": data})


def is_json(text: str) -> bool:
    """Tell whether other clients of the channel have published JSON: those of the plain protocol may say anything."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class Multiplexed:
    """What is said by and to all clients of this protocol; see `relay.protocols.multiplexed.MultiplexedProtocol`."""

    __slots__ = ()

    encode = staticmethod(encode)
    format: Literal["json", "protobuf"] = "json"
    transport = "websocket"
    multiplexed = True
    connects_by_message = False
    channel = None
    echo = True
    resume = 0
    first = b""
    presence: PresenceFormat | None = None

    def release(self) -> None:
        """Do nothing: no session is kept."""

    def writable(self) -> None:
        """Do nothing: no command waits."""

    def go_on(self, session: MultiplexedSession) -> int:
        """Do nothing: nothing is ever left."""
        return 0

    def encoder(self, options: ChannelOptions) -> Encoder:
        """Return the encoder of all channels."""
        return self.encode

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Return the welcome."""
        return b"" if welcome is None else encode(welcome)

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Return nothing: no channel is subscribed to before."""
        return b""

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes:
        """Return what tells the client."""
        return frame({"missed": channel, "position": None if position is None else str(position)})

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Do what a command says, and answer it.

        Raises:
            ProtocolError: it is none.
        """
        if kind is not Kind.TEXT:
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, "binary")
        try:
            command = _DECODER.decode(payload)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, str(error)[:100]) from None
        asked = [value for value in (command.subscribe, command.unsubscribe, command.publish) if value is not UNSET]
        if not asked and command.id is UNSET:
            return  # to have been heard is all that it is for
        if len(asked) != 1 or isinstance(command.id, UnsetType):
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, "not one request with an id")
        self._obey(cast(MultiplexedSession, session), command, partial(answer, session, command.id))

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Tell the client."""
        session.send(frame({"unsubscribed": channel}))

    def subscribed(self, session: Session, channel: str, subscription: ServerSubscription) -> Subscribed:
        """Return what tells the client; it isn't told that there is no subscription."""

        def tell(result: Replay | RelayError | None) -> None:
            if not isinstance(result, RelayError):
                session.send(frame({"subscribed": channel}))

        return tell

    def renewed(self, session: Session, seconds: float | None) -> None:
        """Say nothing."""

    def expired(self, session: Session, channel: str) -> None:
        """Tell the client."""
        session.send(frame({"expired": channel}))

    def ping(self) -> bytes:
        """Return a text frame."""
        return PING

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return a code of this protocol, and the reason; what a back end has chosen stays as it is."""
        if isinstance(why, CustomDisconnect):
            return CloseMessage(why.code, why.reason)
        return CloseMessage(CODES.get(why, OTHER_CODE), why.reason, frame({"closing": why.reason}))

    def _obey(self, session: MultiplexedSession, command: Command, outcome: Outcome) -> None:
        try:
            if isinstance(command.subscribe, str):
                session.subscribe(command.subscribe, partial(answer_subscribed, outcome))
            elif isinstance(command.unsubscribe, str):
                session.unsubscribe(command.unsubscribe)
                outcome(None)
            elif isinstance(command.publish, Publication):
                session.publish(command.publish.channel, bytes(command.publish.data), Kind.TEXT, outcome)
        except (ChannelError, NotAllowed, SubscriptionError) as error:
            outcome(error)


def answer(session: Session, id_: int, error: RelayError | None) -> None:
    """Tell a client what became of its request."""
    session.send(frame({"id": id_, "ok": True} if error is None else {"id": id_, "error": str(error)}))


def answer_subscribed(outcome: Outcome, result: Replay | RelayError | None) -> None:
    """Tell a client what became of its subscription; it isn't told what it could have of the messages before."""
    outcome(result if isinstance(result, RelayError) else None)


class MultiplexedEndpoint:
    """Where these clients connect; see `relay.protocols.Endpoint`."""

    protocol = Multiplexed()

    def select_subprotocol(self, offered: Sequence[str], accepted: Sequence[str]) -> str | None:
        """Return the protocol's name if the client offers it."""
        return NAME if NAME in offered else None

    def open(self, request: ConnectRequest, default_channel: str) -> Multiplexed:
        """Return the protocol: one object for all.

        Raises:
            Refused: with 400 for parameters, except the name.
        """
        if set(request.query) - {"user"}:
            raise Refused(400, "this protocol has no parameters")
        return self.protocol


endpoint = MultiplexedEndpoint()
