"""How subscriptions of the Centrifuge protocol begin, and what a client is told of them and of what it has missed."""

from __future__ import annotations

from functools import partial
from typing import Final

from relay.errors import Disconnect, RelayError
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.commands import SubscribeRequest
from relay.protocols.centrifuge.deltas import Deltas
from relay.protocols.centrifuge.exchange import Connection, Exchange
from relay.protocols.centrifuge.pushes import Subscribe
from relay.protocols.centrifuge.results import Publication, SubscribeResult
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.multiplexed import ANY_EPOCH, Granted, ServerSubscription, SubscribeOptions
from relay.replay import Replay, Resume

FOSSIL: Final = "fossil"
"""The one encoding of deltas."""

NOTHING_GRANTED: Final = Granted()

MAX_TTL_SECONDS: Final = 365 * 24 * 3600
"""For how long a client may believe that its right lasts, as in Centrifugo: the field holds no number above 2**32, and
then the client renews a right that has not ended."""

REJECT_UNRECOVERED: Final = 2
"""Bit of a subscription's `flag`: an error instead of a subscription that has missed something."""


def subscribe(exchange: Exchange, request: SubscribeRequest) -> None:
    """Subscribe the client to a channel."""
    if request.delta not in ("", FOSSIL):
        exchange.close(Disconnect.UNEXPECTED_DATA)
        return
    if request.type:
        exchange.refuse(codes.ERROR_PERMISSION_DENIED)  # a map, which no namespace here has
        return
    if request.tf is not None:
        exchange.refuse(codes.ERROR_BAD_REQUEST)  # without filters it would get what it doesn't want
        return
    session, channel, wire = exchange.session, request.channel, exchange.connection.wire
    options = session.options(channel)
    deltas = None
    if request.delta and options.delta and options.history_size:
        deltas = session.shared(channel, wire, partial(Deltas, wire, options.no_json))
    wanted = SubscribeOptions(
        resume=resume_of(options, request),
        token=request.token,
        join_leave=request.join_leave,
        encode=deltas,
    )
    session.subscribe(channel, partial(_subscribed, exchange, request, deltas), wanted)


def _subscribed(
    exchange: Exchange, request: SubscribeRequest, deltas: Deltas | None, begun: Replay | RelayError | None
) -> None:
    if isinstance(begun, RelayError):
        exchange.fail(begun)
        return
    session, channel = exchange.session, request.channel
    found = Recovery(session.options(channel), request, begun)
    if request.recover and begun is not None and not found.recovered and request.flag & REJECT_UNRECOVERED:
        session.unsubscribe(channel)
        exchange.refuse(codes.ERROR_UNRECOVERABLE_POSITION)
        return
    if deltas is not None:
        deltas.begin()
    exchange.reply(found.result(exchange.connection.wire, deltas, session.granted(channel)))


def tell_subscribed(
    connection: Connection, channel: str, subscription: ServerSubscription, begun: Replay | RelayError | None
) -> None:
    """Tell a client of a subscription that a back end has wanted."""
    if isinstance(begun, RelayError):
        return  # the back end is told by nothing either, as in Centrifugo
    connection.server_side.add(channel)
    session, wire = connection.session, connection.wire
    found = Recovery(session.options(channel), None, begun)
    result = found.result(wire, granted=Granted(data=subscription.data))
    push = Subscribe(result.recoverable, result.epoch, result.offset, result.positioned, result.data)
    session.send(wire.push(channel, push))


def resume_of(options: ChannelOptions, request: SubscribeRequest | None) -> Resume:
    """Return what a client wants of the messages before: all that it has missed; of a cache, the newest alone.

    Args:
        options: of the channel.
        request: that it has made for it; None: none.
    """
    if request is None or not request.recover:
        return 0
    return 1 if options.cache else Position(request.epoch, request.offset)


class Recovery:
    """What a client is told of a subscription that has begun.

    Args:
        options: of the channel.
        request: what the client has asked for; None: it hasn't.
        replay: what it gets of the messages before; None: they have no positions.

    Attributes:
        recovered: whether it has all that it has missed, or of a cache the newest message.
    """

    __slots__ = ("_options", "_recovering", "_replay", "_request", "recovered")

    def __init__(self, options: ChannelOptions, request: SubscribeRequest | None, replay: Replay | None) -> None:
        self._options = options
        self._request = SubscribeRequest() if request is None else request
        self._replay = replay
        self._recovering = self._request.recover
        if replay is None or not self._recovering:
            self.recovered = False
        elif options.cache:
            self.recovered = bool(replay.messages)
        else:
            self.recovered = replay.recovered

    def result(self, wire: Wire, deltas: Deltas | None = None, granted: Granted = NOTHING_GRANTED) -> SubscribeResult:
        """Return the result.

        Args:
            wire: of the client.
            deltas: of the channel, if the client gets them; None: it doesn't.
            granted: what the client is told with it.
        """
        replay = self._replay
        if replay is None:
            position = None
        elif self.recovered:
            # The client counts on from where it was, by the publications that follow.
            offset = self._request.offset if self._options.cache else replay.start.offset
            position = Position(replay.position.epoch, offset)
        else:
            position = replay.position
        return SubscribeResult(
            expires=granted.seconds is not None,
            ttl=ttl(granted.seconds),
            recoverable=self._options.history_size > 0,
            epoch="" if position is None else position.epoch,
            publications=self._publications(wire, deltas) or None,
            recovered=self.recovered,
            offset=0 if position is None else position.offset,
            positioned=position is not None,
            data=wire.data(granted.data),
            was_recovering=self._recovering,
            delta=deltas is not None,
        )

    def _publications(self, wire: Wire, deltas: Deltas | None) -> list[Publication]:
        replay, request = self._replay, self._request
        if replay is None or not self.recovered:
            return []
        known = request.epoch in (ANY_EPOCH, replay.position.epoch) and request.offset == replay.position.offset
        if self._options.cache and known:
            return []  # it has the newest one
        if deltas is not None:
            return deltas.recovered(replay.messages)
        return [wire.publication(message) for message in replay.messages]


def ttl(seconds: float | None) -> int:
    """Return for how many whole seconds a right lasts, at least one and at most `MAX_TTL_SECONDS`; 0: without end."""
    return 0 if seconds is None else max(1, min(MAX_TTL_SECONDS, int(seconds)))
