"""The session of a client with several channels: its subscriptions, and what else it can ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from relay.attributes import encode_publisher
from relay.auth.authenticator import EVERYTHING, Identity, check_publish
from relay.auth.rights import Right
from relay.channel import check_channel
from relay.clients import channel_queries, connecting
from relay.clients.session_context import SessionContext
from relay.clients.subscribing_session import SubscribingSession
from relay.clients.subscription import Subscription
from relay.errors import RelayError, SubscriptionError
from relay.limits.limit import Limit, reached
from relay.member import Member
from relay.message import AttributedMessage, Attributes, Kind, PositionedMessage
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols import Outcome
from relay.protocols.multiplexed import Answer, ConnectGrant, Granted, HistoryQuery, MultiplexedProtocol
from relay.protocols.request import ConnectRequest
from relay.rpc_call import RpcCall

PUBLISHERS: Final = 1024
"""Whose description is kept: it takes 2 µs to make, as long as the rest of taking in a message."""

_T = TypeVar("_T")


class MultiplexedSession(SubscribingSession):
    """One client as its protocol sees it; see `relay.protocols.multiplexed.MultiplexedSession`.

    Attributes:
        paused: whether the protocol wants nothing more to be read.
        due: whether it waits for a turn.
    """

    __slots__ = ("_passed_on", "_remote", "due", "paused")

    def __init__(
        self, context: SessionContext, identity: Identity, protocol: MultiplexedProtocol, network: str = ""
    ) -> None:
        super().__init__(context, identity, protocol, network)
        # Of the request with which it has connected, which isn't kept: what back ends are told.
        self._remote = ""
        self._passed_on: Mapping[str, str] | None = None
        self.paused = self.due = False

    @property
    def ping_seconds(self) -> float:
        """Seconds between two pings of the client."""
        return self._context.ping_seconds

    @property
    def node(self) -> str:
        """Id of this gateway, 16 hexadecimal digits."""
        return self._node.id.hex()

    def options(self, channel: str) -> ChannelOptions:
        """Return what the namespace of a channel says."""
        return self._context.namespaces.options(channel)

    def fits(self, channels: int) -> bool:
        """Return whether a client can have so many channels; one that wants more has reached a limit."""
        if channels <= self._node.channel_limits.most:
            return True
        reached(Limit.CHANNELS, self._node.counters, user=self.user, client=self.id.hex())
        return False

    def shared(self, channel: str, key: object, make: Callable[[], _T]) -> _T:
        """Return what clients of this gateway share on a channel."""
        found: _T | None = self._context.shared.get((channel, key))
        if found is None:
            found = self._context.shared[channel, key] = make()
        return found

    def connect(
        self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str], answer: Answer[ConnectGrant]
    ) -> None:
        """Find out who the client is; see `relay.protocols.multiplexed.MultiplexedSession`, as for what follows."""
        self._ask(self._connect(opening, token, headers), answer)

    async def _connect(self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str]) -> ConnectGrant:
        if opening is None:
            opening = ConnectRequest("/", {}, {}, self._remote)
        else:
            self._remote = opening.remote
            self._passed_on = self._context.rpc.headers_of(opening) or None
        return await connecting.connect(self._context, self, self._there, opening, token, headers)

    def call(self, method: str, data: bytes, binary: bool, answer: Answer[bytes]) -> None:
        """Call a procedure of the back end."""
        server_side, spoken = self.identity.server_side, self.protocol
        call = RpcCall(
            method=method,
            data=data,
            binary=binary,
            client=self.id.hex(),
            user=self.user,
            protocol=spoken.format,
            transport=spoken.transport,
            remote=self._remote,
            headers=self._passed_on or {},
            meta=None if server_side is None else server_side.meta,
        )
        self._ask(self._answer_of(call), answer)

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        """Send a message to all clients of a channel, with what these may know of its publisher."""
        subscription, identity = self._subscriptions.get(channel), self.identity
        if subscription is None:  # else it was checked
            check_channel(channel)
        if identity.rights is not EVERYTHING and not self.may_as_subscriber(channel, Right.PUBLISH.value):
            check_publish(identity, channel)
        channel_info = None if subscription is None else subscription.info
        attributes = _publisher(identity.user, identity.info, channel_info)
        self._give(AttributedMessage(channel, payload, kind, self.id, attributes=attributes), outcome)

    def renew_subscription(self, channel: str, token: str, answer: Answer[float | None]) -> None:
        """Let a subscription end later, as a token says."""
        self._ask(self._renew(self._found(channel), token), answer)

    def fall_silent(self, channel: str) -> None:
        """Deliver nothing more of a channel, and close the client when its turn has come."""
        client = self._there
        self._node.hub.remove(channel, client, self._found(channel).encode)
        client.close_in_turn()

    def granted(self, channel: str) -> Granted:
        """Return what the client is told with a subscription."""
        subscription = self._found(channel)
        seconds = connecting.seconds_left(self._context, subscription.expires_at, subscription.leeway)
        return Granted(seconds, subscription.data)

    def read_history(
        self,
        channel: str,
        query: HistoryQuery,
        encode: Callable[[PositionedMessage], _T],
        answer: Answer[tuple[Position, list[_T]]],
    ) -> None:
        """Read messages of before."""
        channel_queries.check_readable(self._context, self, channel, query)
        self._ask(channel_queries.read_history(self._context, channel, query, encode), answer)

    def see_presence(self, channel: str, encode: Callable[[Member], _T], answer: Answer[list[_T]]) -> None:
        """Find out who is on a channel."""
        channel_queries.check_visible(self._context, self, channel)
        self._ask(channel_queries.members(self._context, channel, encode), answer)

    def count_presence(self, channel: str, answer: Answer[tuple[int, int]]) -> None:
        """Find out how many are on a channel."""
        channel_queries.check_visible(self._context, self, channel)
        self._ask(channel_queries.count(self._context, channel), answer)

    def hold_deliveries(self) -> None:
        """Write nothing of channels until the next `reply`."""
        self._there.hold_deliveries()

    def reply(self, data: bytes) -> bool:
        """Write the answer to a request."""
        return self.open and self._there.reply(data)

    def take_turn(self) -> None:
        """Let the protocol go on when it is the client's turn."""
        if self._client is not None and not self.due:
            self.due = True
            self._client.take_turn()

    def give_turn(self) -> int:
        """Let the protocol go on; see `MultiplexedProtocol.go_on`."""
        self.due = False
        return self.protocol.go_on(self)

    def count(self, messages: int) -> None:
        """Count what the client has sent as so many more messages."""
        if self._client is not None:
            self._client.count(messages)

    def pause(self) -> None:
        """Read nothing more of the client until `resume`."""
        self.paused = True
        if self._client is not None:
            self._client.pause_publishing()

    def resume(self) -> None:
        """Read on; not at once, see `Node.writable`."""
        self.paused = False
        asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        """Read on, unless it was paused meanwhile; while the bus takes no more, wait for it with the others."""
        client = self._client
        if client is None or self.paused:
            return
        if self._node.congested:
            self._node.pause(client)
        else:
            self._node.forget(client)
            client.resume_publishing()

    async def _answer_of(self, call: RpcCall) -> bytes:
        await asyncio.sleep(0)  # in a task of its own from here on, which time-outs of a back end need
        return await self._context.rpc.call(call)

    async def _renew(self, subscription: Subscription, token: str) -> float | None:
        grant = await connecting.authorize(self._context, token, subscription.channel, self.user)
        if self._found(subscription.channel) is not subscription:
            raise SubscriptionError(subscription.channel, "the subscription was ended meanwhile")
        before = subscription.info
        self._take(subscription, grant)
        if before != grant.info and subscription.shown:
            self._show(subscription.channel)
        return connecting.seconds_left(self._context, grant.expires_at, grant.leeway)

    def _ask(self, question: Coroutine[Any, Any, _T], answer: Answer[_T]) -> None:
        """Find something out, and tell it unless the client has left."""
        if not self.open:
            question.close()
            return

        async def ask() -> None:
            try:
                found: _T | RelayError = await question
            except RelayError as error:
                found = error.with_traceback(None)  # else this frame and the error would hold each other
            if self.open:
                answer(found)
            del found  # the traceback of an error holds this frame

        task = self._context.requests.start(ask(), self._abort)
        if task is not None:
            self._requests = self._requests or set()
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)


@lru_cache(PUBLISHERS)
def _publisher(user: str | None, info: bytes | None, channel_info: bytes | None) -> Attributes:
    """Return what receivers are told of a publisher."""
    return Attributes(encode_publisher(user, info, channel_info))
