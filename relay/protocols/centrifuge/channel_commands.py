"""What the commands about channels do: one function for each, by the name of its request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from relay.errors import Disconnect, ProtocolError, RelayError, SubscriptionError
from relay.member import Member
from relay.message import Kind, PositionedMessage
from relay.position import Position
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.commands import (
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    SubRefreshRequest,
    UnsubscribeRequest,
)
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.results import (
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    SubRefreshResult,
    UnsubscribeResult,
)
from relay.protocols.centrifuge.subscriptions import subscribe, ttl
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.multiplexed import HistoryQuery
from relay.protocols.request_errors import TokenRefused


def unsubscribe(exchange: Exchange, request: UnsubscribeRequest) -> None:
    """End a subscription; nothing happens when there is none."""
    with suppress(SubscriptionError):  # as Centrifugo does: the client wants none, and there is none
        exchange.session.unsubscribe(request.channel)
    exchange.connection.server_side.discard(request.channel)
    exchange.reply(UnsubscribeResult())


def publish(exchange: Exchange, request: PublishRequest) -> None:
    """Publish to a channel."""
    payload = bytes(request.data)
    if not payload or request.type:
        exchange.refuse(codes.ERROR_NOT_AVAILABLE if payload else codes.ERROR_BAD_REQUEST)
        return
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
    answer = partial(_read, exchange, since, request.reverse)
    exchange.session.read_history(request.channel, query, partial(_kept, exchange.connection.wire), answer)


def _kept(wire: Wire, message: PositionedMessage) -> bytes:
    return wire.format.part(HistoryResult([wire.publication(message)], "", 0))


def _read(
    exchange: Exchange,
    since: Position | None,
    reverse: bool,
    page: tuple[Position, list[bytes]] | RelayError,
) -> None:
    if isinstance(page, RelayError):
        exchange.fail(page)
        return
    top, publications = page
    if since is not None and (
        (since.epoch and since.epoch != top.epoch) or (since.offset > top.offset and not reverse)
    ):
        exchange.refuse(codes.ERROR_UNRECOVERABLE_POSITION)
        return
    exchange.reply_in_parts(HistoryResult([], top.epoch, top.offset), publications)


def presence(exchange: Exchange, request: PresenceRequest) -> None:
    """Tell who is on a channel."""
    wire = exchange.connection.wire
    exchange.session.see_presence(request.channel, partial(_present, wire), partial(_seen, exchange))


def _present(wire: Wire, member: Member) -> bytes:
    return wire.format.part(PresenceResult({member.client: wire.client_info(member)}))


def _seen(exchange: Exchange, clients: list[bytes] | RelayError) -> None:
    if isinstance(clients, RelayError):
        exchange.fail(clients)
    else:
        exchange.reply_in_parts(PresenceResult({}), clients)


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
