"""What sessions with several channels need around them, in one process and without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field

from relay.auth.authenticator import ANONYMOUS, Identity
from relay.auth.personal_channels import PersonalChannels
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.expirations import Expirations
from relay.clients.multiplexed_session import MultiplexedSession
from relay.clients.presence_watchers import PresenceWatchers
from relay.clients.registry import Registry
from relay.clients.session_context import SessionContext
from relay.errors import Refused, RelayError
from relay.limits.address import PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.channels import DEFAULT_CHANNELS, ChannelLimits
from relay.limits.connections import ConnectionLimits
from relay.limits.limit import Limit
from relay.message import Kind, Message
from relay.namespaces import NO_NAMESPACES, Namespaces
from relay.protocols.multiplexed import Answer, ConnectGrant, MultiplexedProtocol
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import TokenRefused
from relay.rpc_call import RpcCall, RpcNotAvailable
from tests.clients.recorder import Recorder, a_node
from tests.protocols.multiplexed import Multiplexed

NOW = 1_000_000.0
"""When a world begins, in seconds since 1970."""


@dataclass
class Tokens:
    """Knows tokens for channels; see `SubscriptionAuthenticator`.

    Attributes:
        grants: by token; all others are refused.
        asked: what was asked for.
        gate: what an answer waits for; None: it is there at once.
        stubborn: whether it answers when it was cancelled, too.
        waiting: how many answers wait.
    """

    grants: dict[str, SubscriptionGrant] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    stubborn: bool = False
    waiting: int = 0

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """See `SubscriptionAuthenticator`."""
        self.asked.append((token, channel, user))
        return self._answer(token) if self.gate is None else self._answer_later(token, self.gate)

    async def _answer_later(self, token: str, gate: asyncio.Event) -> SubscriptionGrant:
        self.waiting += 1
        try:
            await gate.wait()
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
        finally:
            self.waiting -= 1
        return self._answer(token)

    def _answer(self, token: str) -> SubscriptionGrant:
        if token not in self.grants:
            raise TokenRefused("invalid", "unknown")
        return self.grants[token]


@dataclass
class BackEnd:
    """Answers calls; see `Rpc`.

    Attributes:
        answers: by method: what it answers, or how it fails.
        calls: that were made.
    """

    answers: dict[str, bytes | RelayError] = field(default_factory=dict)
    calls: list[RpcCall] = field(default_factory=list)

    def headers_of(self, request: ConnectRequest) -> Mapping[str, str]:
        """Return none."""
        return {}

    async def call(self, call: RpcCall) -> bytes:
        """See `Rpc`."""
        self.calls.append(call)
        answer = self.answers.get(call.method, RpcNotAvailable())
        if isinstance(answer, RelayError):
            raise answer
        return answer


class World:
    """The world.

    Args:
        namespaces: the options of channels.
        timeout: seconds for which clients wait for the bus.
        channels: how many a client may have.
        per_user: how many clients a user may have; 0: any number.
        personal: channels of each user; see `PersonalChannels`.

    Attributes:
        now: seconds since 1970.
        identities: who brings which credential; all others are refused.
        refusals: why those who bring a credential are refused; the others with 401.
        gate: what it waits for to know who a client is; None: it knows at once.
        stubborn: whether it says who a client is when it was cancelled, too.
        asked: how often it was asked.
        tokens: knows tokens for channels.
        rpc: answers calls.
        context: what the sessions share.
    """

    def __init__(
        self,
        *,
        namespaces: Namespaces = NO_NAMESPACES,
        timeout: float = 30.0,
        channels: ChannelLimits = DEFAULT_CHANNELS,
        per_user: int = 0,
        personal: Sequence[str] = (),
    ) -> None:
        self.now = NOW
        self.identities: dict[str | None, Identity] = {}
        self.refusals: dict[str | None, Refused] = {}
        self.gate: asyncio.Event | None = None
        self.stubborn = False
        self.asked = 0
        self.tokens = Tokens()
        self.rpc = BackEnd()
        self.node = node = a_node(timeout, channels, namespaces)
        self.counters = node.counters
        unlimited = PerAddress(0, False)
        rate = AddressRate(Limit.NEW_ADDRESS_CONNECTIONS, unlimited, 1.0, self.counters, node.clock)
        self.connections = ConnectionLimits(unlimited, per_user, None, rate, self.counters, node.clock)
        self.expirations = Expirations(lambda: self.now)
        self.registry = Registry(1000, self.counters, lambda: None, self.connections, self.expirations)
        self.watchers = PresenceWatchers(node)
        self.context = SessionContext(
            node=node,
            registry=self.registry,
            connections=self.connections,
            watchers=self.watchers,
            namespaces=namespaces,
            identify=self._identify,
            authorizer=self.tokens,
            rpc=self.rpc,
            personal=PersonalChannels(personal),
            emulated_headers=("x-tenant",),
            ping_seconds=25.0,
            now=lambda: self.now,
        )

    def join(
        self, protocol: MultiplexedProtocol | None = None, identity: Identity = ANONYMOUS
    ) -> tuple[Recorder, MultiplexedSession]:
        """Return a client that has come in, and its session."""
        session = MultiplexedSession(self.context, identity, Multiplexed() if protocol is None else protocol)
        return Recorder(session, self.registry), session

    def publish(self, channel: str, *payloads: str) -> None:
        """Publish messages as a back end does, and deliver them."""
        for payload in payloads:
            self.node.submit(Message(channel, payload.encode(), Kind.TEXT))
        self.node.hub.flush()

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and end what has expired."""
        self.now += seconds
        while self.expirations.turn(self.node.clock()):
            pass

    def nothing_is_left(self) -> bool:
        """Return whether no client has left anything."""
        node = self.node
        return (
            not node.interests
            and not node.hub.channels
            and not len(self.context.requests)
            and not len(self.expirations)
            and not len(self.watchers)
            and not len(self.connections)
            and not len(node.recoveries)
            and not node.presences.members
            and not self.tokens.waiting
        )

    async def _identify(self, request: ConnectRequest) -> Identity:
        self.asked += 1
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        if request.bearer not in self.identities:
            raise self.refusals.get(request.bearer) or Refused(401, "unknown")
        return self.identities[request.bearer]


OPENING = ConnectRequest("/multiplexed", {}, {}, "192.0.2.1", None)
"""The request with which clients connect."""


def connect(session: MultiplexedSession, token: str, answer: Answer[ConnectGrant]) -> None:
    """Let a client say who it is; empty: it has no token."""
    session.connect(OPENING, token, {}, answer)


def has_begun(session: MultiplexedSession, channel: str) -> bool:
    """Return whether a subscription has begun."""
    subscription = session._subscriptions.get(channel)
    return subscription is not None and subscription.begun
