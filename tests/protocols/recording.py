"""A session that notes what a protocol does by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from relay.channel import check_channel
from relay.errors import CustomDisconnect, Disconnect, NotAllowed, SubscriptionError
from relay.message import Kind
from relay.namespaces import ChannelOptions
from relay.protocols import ClientProtocol, Outcome
from relay.protocols.multiplexed import (
    AS_USUAL,
    Answer,
    ConnectGrant,
    Granted,
    MultiplexedProtocol,
    MultiplexedSession,
    Subscribed,
    SubscribeOptions,
)
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import AlreadySubscribed


class RecordingSession:
    """See `relay.protocols.Session`, and what `MultiplexedSession` adds for the protocols of the contract suite.

    It has no bus, so requests are settled at once, or by the test.

    Args:
        protocol: what a reader gives messages to; see `relay.clients.session`.
        allowed: tells whether the client may do something with a channel.
        settle: whether outcomes are told at once; else they are kept.

    Attributes:
        calls: the verbs in the order of their calls, each with what it was called with.
        sent: what was sent.
        closed: why it was closed.
        due: whether the protocol wants a turn.
        outcomes: of requests that are not settled, by channel.
    """

    open = True

    def __init__(
        self,
        protocol: ClientProtocol | None = None,
        *,
        allowed: Callable[[str], bool] = lambda channel: True,
        settle: bool = True,
    ) -> None:
        self.protocol = protocol
        self._allowed = allowed
        self._settle = settle
        self.id = b"0123456789abcdef"
        self.user = None
        self.channels: dict[str, None] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.sent: list[bytes] = []
        self.due = False
        self.closed: list[Disconnect | CustomDisconnect] = []
        self.outcomes: dict[str, Outcome | Subscribed | None] = {}

    def subscribe(self, channel: str, subscribed: Subscribed, options: SubscribeOptions = AS_USUAL) -> None:
        self.calls.append(("subscribe", channel))
        self._check("subscribe to", channel)
        if channel in self.channels:
            raise AlreadySubscribed(channel)
        self.channels[channel] = None
        self._keep(channel, subscribed)

    def unsubscribe(self, channel: str) -> None:
        self.calls.append(("unsubscribe", channel))
        if channel not in self.channels:
            raise SubscriptionError(channel, "the client is not subscribed")
        del self.channels[channel]

    node = "0123456789abcdef"
    ping_seconds = 25.0

    def options(self, channel: str) -> ChannelOptions:
        return ChannelOptions()

    def fits(self, channels: int) -> bool:
        return True

    def granted(self, channel: str) -> Granted:
        return Granted()

    def connect(
        self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str], answer: Answer[ConnectGrant]
    ) -> None:
        """Know any client at once; this is not noted."""
        answer(ConnectGrant())

    def pause(self) -> None:
        """Do nothing, as for the next two: a test says all that the client says."""

    def resume(self) -> None:
        pass

    def count(self, messages: int) -> None:
        pass

    def take_turn(self) -> None:
        self.due = True

    def give_turns(self, protocol: ClientProtocol) -> None:
        """Let a protocol go on as often as it wants to; raises what it does."""
        while self.due and not self.closed:
            self.due = False
            cast(MultiplexedProtocol, protocol).go_on(cast(MultiplexedSession, self))

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        assert type(payload) is bytes
        self.calls.append(("publish", channel, payload, kind))
        self._check("publish to", channel)
        self._keep(channel, outcome)

    def send(self, data: bytes) -> None:
        assert type(data) is bytes
        self.sent.append(data)

    def reply(self, data: bytes) -> bool:
        self.send(data)
        return False

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        self.calls.append(("close", why))
        self.closed.append(why)

    def _check(self, action: str, channel: str) -> None:
        check_channel(channel)
        if not self._allowed(channel):
            raise NotAllowed(action, channel)

    def _keep(self, channel: str, outcome: Outcome | Subscribed | None) -> None:
        if not self._settle:
            self.outcomes[channel] = outcome
        elif outcome is not None:
            outcome(None)
