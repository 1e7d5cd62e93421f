"""What the commands about channels do: one function for each, by the name of its request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from relay.errors import Disconnect, ProtocolError, RelayError, SubscriptionError
from relay.member import Member
from relay.message import Kind, PositionedMessage
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.commands import (
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.results import (
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    SubRefreshResult,
    SubscribeResult,
    UnsubscribeResult,
)
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.multiplexed import HistoryQuery, SubscribeOptions
from relay.protocols.request_errors import TokenRefused
from relay.replay import Replay

FOSSIL: Final = "fossil"
"""The one encoding of differences."""

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
    resume = Position(request.epoch, request.offset) if request.recover else 0
    options = SubscribeOptions(resume=resume, token=request.token, join_leave=request.join_leave)
    exchange.session.subscribe(request.channel, partial(_subscribed, exchange, request), options)


def _subscribed(exchange: Exchange, request: SubscribeRequest, begun: Replay | RelayError | None) -> None:
    if isinstance(begun, RelayError):
        exchange.fail(begun)
        return
    session, channel = exchange.session, request.channel
    if request.recover and begun is not None and not begun.recovered and request.flag & REJECT_UNRECOVERED:
        session.unsubscribe(channel)
        exchange.refuse(codes.ERROR_UNRECOVERABLE_POSITION)
        return
    seconds = session.seconds_left(channel)
    exchange.reply(
        subscribe_result(exchange.connection.wire, session.options(channel), request.recover, begun, seconds)
    )


def subscribe_result(
    wire: Wire,
    options: ChannelOptions,
    recover: bool,
    replay: Replay | None,
    seconds: float | None,
    data: bytes | None = None,
) -> SubscribeResult:
    """Return what a client is told of a subscription that has begun.

    Args:
        wire: of the client.
        options: of the channel.
        recover: whether the client wanted what it had missed.
        replay: what it gets of the messages before; None: they have no positions.
        seconds: for which the subscription lasts; None: without end.
        data: JSON of a back end; None: none.
    """
    recovered = recover and replay is not None and replay.recovered
    position = None if replay is None else replay.start if recovered else replay.position
    publications = (
        [wire.publication(message) for message in replay.messages] if replay is not None and recovered else None
    )
    return SubscribeResult(
        expires=seconds is not None,
        ttl=ttl(seconds),
        recoverable=options.history_size > 0,
        epoch="" if position is None else position.epoch,
        publications=publications or None,
        recovered=recovered,
        offset=0 if position is None else position.offset,
        positioned=position is not None,
        data=wire.data(data),
        was_recovering=recover,
    )


def ttl(seconds: float | None) -> int:
    """Return for how many whole seconds a right lasts, at least one; 0: without end."""
    return 0 if seconds is None else max(1, int(seconds))


def unsubscribe(exchange: Exchange, request: UnsubscribeRequest) -> None:
    """End a subscription; nothing happens when there is none."""
    with suppress(SubscriptionError):  # as Centrifugo does: the client wants none, and there is none
        exchange.session.unsubscribe(request.channel)
    exchange.connection.server_side.discard(request.channel)
    exchange.reply(UnsubscribeResult())


def publish(exchange: Exchange, request: PublishRequest) -> None:
    """Publish to a channel."""
    if request.data is None or request.type:
        exchange.refuse(codes.ERROR_BAD_REQUEST if request.data is None else codes.ERROR_NOT_AVAILABLE)
        return
    payload = bytes(request.data)
    kind = Kind.TEXT if exchange.connection.wire.format.kind is Kind.TEXT or _is_text(payload) else Kind.BINARY
    try:
        exchange.session.publish(request.channel, payload, kind, partial(_published, exchange))
    except ProtocolError:  # too big for the channel
        exchange.refuse(codes.ERROR_LIMIT_EXCEEDED)


def _published(exchange: Exchange, failure: RelayError | None) -> None:
    if failure is None:
        exchange.reply(PublishResult())
    else:
        exchange.fail(failure)


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def history(exchange: Exchange, request: HistoryRequest) -> None:
    """Read messages of before."""
    since = None if request.since is None else Position(request.since.epoch, request.since.offset)
    if request.reverse and since is not None and not since.offset:
        exchange.refuse(codes.ERROR_BAD_REQUEST)  # nothing comes before it
        return
    query = HistoryQuery(None if request.limit < 0 else request.limit, since, request.reverse)
    exchange.session.read_history(request.channel, query, partial(_read, exchange, since, request.reverse))


def _read(
    exchange: Exchange,
    since: Position | None,
    reverse: bool,
    page: tuple[Position, list[PositionedMessage]] | RelayError,
) -> None:
    if isinstance(page, RelayError):
        exchange.fail(page)
        return
    top, messages = page
    if since is not None and (
        (since.epoch and since.epoch != top.epoch) or (since.offset > top.offset and not reverse)
    ):
        exchange.refuse(codes.ERROR_UNRECOVERABLE_POSITION)
        return
    wire = exchange.connection.wire
    exchange.reply(HistoryResult([wire.publication(message) for message in messages], top.epoch, top.offset))


def presence(exchange: Exchange, request: PresenceRequest) -> None:
    """Tell who is on a channel."""
    exchange.session.see_presence(request.channel, partial(_seen, exchange))


def _seen(exchange: Exchange, members: Sequence[Member] | RelayError) -> None:
    if isinstance(members, RelayError):
        exchange.fail(members)
        return
    wire = exchange.connection.wire
    exchange.reply(PresenceResult({member.client: wire.client_info(member) for member in members}))


def presence_stats(exchange: Exchange, request: PresenceStatsRequest) -> None:
    """Tell how many are on a channel."""
    exchange.session.count_presence(request.channel, partial(_counted, exchange))


def _counted(exchange: Exchange, found: tuple[int, int] | RelayError) -> None:
    if isinstance(found, RelayError):
        exchange.fail(found)
    else:
        exchange.reply(PresenceStatsResult(*found))


def sub_refresh(exchange: Exchange, request: SubRefreshRequest) -> None:
    """Let a subscription end later."""
    if not request.token:
        exchange.refuse(codes.ERROR_BAD_REQUEST)
        return
    try:
        exchange.session.renew_subscription(request.channel, request.token, partial(_renewed, exchange))
    except SubscriptionError:
        exchange.refuse(codes.ERROR_PERMISSION_DENIED)


def _renewed(exchange: Exchange, seconds: float | RelayError | None) -> None:
    if isinstance(seconds, TokenRefused) and seconds.cause == "invalid":
        exchange.close(Disconnect.INVALID_TOKEN)
    elif isinstance(seconds, RelayError):
        exchange.fail(seconds)
    else:
        exchange.reply(SubRefreshResult(seconds is not None, ttl(seconds)))


ChannelCommand = Callable[[Exchange, Any], None]

CHANNEL_COMMANDS: Final[dict[str, ChannelCommand]] = {
    function.__name__: function
    for function in (subscribe, unsubscribe, publish, history, presence, presence_stats, sub_refresh)
}
"""By the name of the request, which names a channel. They raise what the session does; see `Exchange.fail`."""
