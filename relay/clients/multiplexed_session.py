"""The session of a client with several channels: its subscriptions, and what else it can ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from relay.auth.authenticator import Identity
from relay.clients import channel_queries, introduction
from relay.clients.registry import Connected
from relay.clients.session_context import SessionContext
from relay.clients.subscribing_session import SubscribingSession
from relay.clients.subscription import Subscription
from relay.errors import RelayError, SubscriptionError
from relay.member import Member
from relay.message import PositionedMessage
from relay.position import Position
from relay.protocols.multiplexed import Answer, HistoryQuery, Introduced, MultiplexedProtocol
from relay.protocols.request import ConnectRequest

_T = TypeVar("_T")


class MultiplexedSession(SubscribingSession):
    """One client as its protocol sees it; see `relay.protocols.multiplexed.MultiplexedSession`."""

    __slots__ = ("_paused",)

    def __init__(
        self, context: SessionContext, identity: Identity, protocol: MultiplexedProtocol, network: str = ""
    ) -> None:
        super().__init__(context, identity, protocol, network)
        # Whether the protocol wants nothing more to be read.
        self._paused = False

    @property
    def ping_seconds(self) -> float:
        """Seconds between two pings of the client."""
        return self._context.ping_seconds

    def introduce(self, request: ConnectRequest, answer: Answer[Introduced]) -> None:
        """Find out who the client is; see `relay.protocols.multiplexed.MultiplexedSession`, as for what follows."""
        self._ask(introduction.introduce(self._context, self, cast(Connected, self._client), request), answer)

    def renew_subscription(self, channel: str, token: str, answer: Answer[float | None]) -> None:
        """Let a subscription end later, as a token says."""
        self._ask(self._renew(self._found(channel), token), answer)

    def read_history(
        self, channel: str, query: HistoryQuery, answer: Answer[tuple[Position, list[PositionedMessage]]]
    ) -> None:
        """Read messages of before."""
        channel_queries.check_readable(self._context, self, channel, query)
        self._ask(channel_queries.read_history(self._context, channel, query), answer)

    def see_presence(self, channel: str, answer: Answer[Sequence[Member]]) -> None:
        """Find out who is on a channel."""
        channel_queries.check_visible(self._context, self, channel)
        self._ask(channel_queries.members(self._context, channel), answer)

    def count_presence(self, channel: str, answer: Answer[tuple[int, int]]) -> None:
        """Find out how many are on a channel."""
        channel_queries.check_visible(self._context, self, channel)
        self._ask(channel_queries.count(self._context, channel), answer)

    def pause(self) -> None:
        """Read nothing more of the client until `resume`."""
        self._paused = True
        if self._client is not None:
            self._client.pause_publishing()

    def resume(self) -> None:
        """Read on; not at once, see `Node.writable`."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        """Read on, unless it was paused meanwhile; while the bus takes no more, wait for it with the others."""
        client = self._client
        if client is None or self._paused:
            return
        if self._node.congested:
            self._node.pause(client)
        else:
            self._node.forget(client)
            client.resume_publishing()

    async def _renew(self, subscription: Subscription, token: str) -> float | None:
        grant = await self._authorize(subscription.channel, token)
        if self._found(subscription.channel) is not subscription:
            raise SubscriptionError(subscription.channel, "the subscription was ended meanwhile")
        self._take(subscription, grant)
        return introduction.seconds_left(self._context, grant.expires_at)

    def _ask(self, question: Coroutine[Any, Any, _T], answer: Answer[_T]) -> None:
        """Find something out, and tell it unless the client has left."""
        if not self.open:
            question.close()
            return

        async def ask() -> None:
            try:
                found: _T | RelayError = await question
            except RelayError as error:
                found = error
            if self.open:
                answer(found)

        task = self._context.requests.start(ask(), self._abort)
        if task is not None:
            self._requests = self._requests or set()
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
