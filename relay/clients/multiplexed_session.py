"""The session of a client with several channels: its subscriptions, and what else it can ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from relay.clients import channel_queries, introduction
from relay.clients.registry import Connected
from relay.clients.subscribing_session import SubscribingSession
from relay.clients.subscription import Subscription
from relay.errors import RelayError
from relay.member import Member
from relay.message import PositionedMessage
from relay.position import Position
from relay.protocols.multiplexed import Answer, HistoryQuery, Introduced
from relay.protocols.request import ConnectRequest

_T = TypeVar("_T")


class MultiplexedSession(SubscribingSession):
    """One client as its protocol sees it; see `relay.protocols.multiplexed.MultiplexedSession`."""

    __slots__ = ()

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
        if self._client is not None:
            self._client.pause_publishing()

    def resume(self) -> None:
        """Read on; not at once, see `Node.writable`."""
        if (client := self._client) is not None and not self._node.congested:
            asyncio.get_running_loop().call_soon(client.resume_publishing)

    async def _renew(self, subscription: Subscription, token: str) -> float | None:
        grant = await self._authorize(subscription.channel, token)
        if self._subscriptions.get(subscription.channel) is subscription:
            self._take(subscription, grant)
        return introduction.seconds_left(self._context, grant.expires_at)

    def _ask(self, question: Coroutine[Any, Any, _T], answer: Answer[_T]) -> None:
        """Find something out, and tell it unless the client has left."""

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
