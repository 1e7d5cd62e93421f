"""What clients of several channels ask about channels: their histories, and who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from relay.auth.authenticator import Identity, check_history, check_presence
from relay.auth.rights import Right
from relay.brokers.history import MAX_PAGE
from relay.channel import EVENTS, check_channel
from relay.clients.pieces import in_pieces
from relay.clients.session_context import SessionContext
from relay.errors import NotAllowed
from relay.interest import Interest
from relay.member import Member
from relay.message import PositionedMessage
from relay.position import Position
from relay.protocols import ClientProtocol
from relay.protocols.multiplexed import HistoryQuery, SubscribeOptions
from relay.protocols.request_errors import NotAvailable

_T = TypeVar("_T")


class QuerySession(Protocol):
    """The session of a client that asks."""

    identity: Identity

    @property
    def protocol(self) -> ClientProtocol:
        """What it speaks."""

    def may_as_subscriber(self, channel: str, letter: str) -> bool:
        """Return whether the client may do something in a channel because it is subscribed to it."""


def check_readable(context: SessionContext, session: QuerySession, channel: str, query: HistoryQuery) -> None:
    """Make sure that a client may read a channel's history, and that there is one.

    Raises:
        ChannelError: the name is not legal.
        NotAllowed: it has no right to.
        NotAvailable: there is none.
    """
    options = context.namespaces.options(check_channel(channel))
    if not session.may_as_subscriber(channel, Right.HISTORY.value):
        check_history(session.identity, channel)
    if not options.positioned or (query.limit != 0 and not options.history_size):
        raise NotAvailable("the channel keeps no history")


def check_visible(context: SessionContext, session: QuerySession, channel: str) -> None:
    """Make sure that a client may see who is on a channel, and that it is known; raises what `check_readable` does."""
    options = context.namespaces.options(check_channel(channel))
    if not session.may_as_subscriber(channel, Right.PRESENCE.value):
        check_presence(session.identity, channel)
    if not options.presence:
        raise NotAvailable("it isn't kept who is on the channel")


async def read_history(
    context: SessionContext, channel: str, query: HistoryQuery, encode: Callable[[PositionedMessage], _T]
) -> tuple[Position, list[_T]]:
    """Return the position of the newest message of a channel, and messages of before, encoded.

    Raises:
        HistoryError: the bus is away, or refuses.
    """
    page = await context.node.history.read(
        channel,
        since=query.since,
        limit=MAX_PAGE if query.limit is None else query.limit,
        newest_first=query.newest_first,
    )
    return page.top, await in_pieces(page.messages, encode)


async def members(context: SessionContext, channel: str, encode: Callable[[Member], _T]) -> list[_T]:
    """Return who is on a channel, encoded; raises `PresenceError`."""
    return await in_pieces(await context.node.present.members_in_turn(channel), encode)


async def count(context: SessionContext, channel: str) -> tuple[int, int]:
    """Return how many clients and users are on a channel; raises `PresenceError`."""
    stats = await context.node.present.stats_in_turn(channel)
    return stats.clients, stats.users


async def heard(
    context: SessionContext, session: QuerySession, channel: str, options: SubscribeOptions, until: float
) -> Interest | None:
    """Let the bus tell who comes to a channel and who goes, so that the client hears of itself, too.

    Args:
        context: what sessions share.
        session: of the client.
        channel: its name.
        options: how the client wants to be subscribed.
        until: loop time at which it waits no longer.

    Returns:
        A claim on what tells it, to be released; None: the client doesn't want to hear that, or can't.
    """
    if not _hears(context, session, channel, asked=options.join_leave):
        return None
    interest, acknowledged = context.node.claim(EVENTS + channel)
    if not acknowledged.done():
        try:
            await interest.settled(acknowledged, until - context.node.clock())
        except BaseException:
            context.node.release(interest)
            raise
    return interest


def _hears(context: SessionContext, session: QuerySession, channel: str, *, asked: bool) -> bool:
    """Return whether a client is told who comes to a channel and who goes.

    Args:
        context: what sessions share.
        session: of the client.
        channel: its name.
        asked: whether the client has asked for it.
    """
    namespace = context.namespaces.options(channel)
    if session.protocol.presence is None or not namespace.join_leave:
        return False
    if namespace.force_push_join_leave:
        return True
    if not asked or Right.PRESENCE.value in namespace.subscriber_rights:
        return asked
    try:
        check_presence(session.identity, channel)
    except NotAllowed:
        return False
    return True
