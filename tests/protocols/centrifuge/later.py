"""A session whose answers come when a test says so, in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from relay.channel import check_channel
from relay.errors import CustomDisconnect, Disconnect, NotAllowed, SubscribeError, SubscriptionError
from relay.message import Kind
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols import Outcome
from relay.protocols.multiplexed import (
    AS_USUAL,
    Answer,
    ConnectGrant,
    Granted,
    HistoryQuery,
    ServerSubscription,
    Subscribed,
    SubscribeOptions,
)
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import AlreadySubscribed, NotAvailable, TokenRefused
from relay.replay import Replay
from relay.rpc_call import RpcError, RpcNotAvailable

CHOICES: dict[str, tuple[Any, ...]] = {
    "connect": (ConnectGrant(), ConnectGrant(60.0, {"given": ServerSubscription(data=b"[1]")}, b"{}")),
    "subscribe": (None, Replay(Position("e", 3))),
    "publish": (None, SubscribeError("a", "away")),
    "renew_subscription": (None, 60.0, TokenRefused("invalid", "so"), TokenRefused("expired", "so")),
    "read_history": ((Position("e", 3), []),),
    "see_presence": ((), SubscribeError("a", "away")),
    "count_presence": ((1, 1),),
    "call": (b"1", b"", RpcNotAvailable(), RpcError(400, "no", temporary=False)),
}
"""What each verb may be answered."""


class LaterSession:
    """See `relay.protocols.multiplexed.MultiplexedSession`.

    Attributes:
        pending: what is not answered yet: the verb, and what tells the answer.
        begun: verbs in the order of their calls.
        sent: what was written.
        closed: why it was closed, once.
        closing: called with that.
        go_on: called when it is the protocol's turn.
        paused: whether nothing more is to be read.
    """

    id = bytes(16)
    user = None
    ping_seconds = 25.0
    node = "0" * 16

    def __init__(self) -> None:
        self.channels: dict[str, bool] = {}
        self.pending: list[tuple[str, Callable[[Any], None]]] = []
        self.begun: list[str] = []
        self.sent: list[bytes] = []
        self.closed: list[Disconnect | CustomDisconnect] = []
        self.paused = False
        self.holding = False
        self.closing: Callable[[Disconnect | CustomDisconnect], object] = lambda why: None
        self.go_on: Callable[[], object] = lambda: None
        self._due = False

    def _later(self, verb: str, answer: Callable[[Any], None]) -> None:
        self.begun.append(verb)
        self.pending.append((verb, answer))

    def answer(self, number: int, choice: int) -> None:
        """Answer one of those that are not answered yet."""
        verb, answer = self.pending.pop(number % len(self.pending))
        if not self.closed:
            choices = CHOICES[verb]
            answer(choices[choice % len(choices)])
        self.give_turns()

    def take_turn(self) -> None:
        self._due = True

    def give_turns(self) -> None:
        """Let the protocol go on as often as it wants to."""
        while self._due and not self.closed:
            self._due = False
            self.go_on()

    def count(self, messages: int) -> None:
        assert messages > 0

    def fits(self, channels: int) -> bool:
        return True

    def options(self, channel: str) -> ChannelOptions:
        return ChannelOptions(history_size=5) if channel.startswith("kept") else ChannelOptions()

    def shared(self, channel: str, key: object, make: Callable[[], Any]) -> Any:
        return make()

    def connect(
        self, opening: ConnectRequest | None, token: str, headers: Mapping[str, str], answer: Answer[ConnectGrant]
    ) -> None:
        self._later("connect", answer)

    def subscribe(self, channel: str, subscribed: Subscribed, options: SubscribeOptions = AS_USUAL) -> None:
        check_channel(channel)
        if channel == "secret" and not options.granted:
            raise NotAllowed("subscribe to", channel)
        if channel in self.channels:
            raise AlreadySubscribed(channel)
        self.channels[channel] = True
        self._later("subscribe", subscribed)

    def unsubscribe(self, channel: str) -> None:
        if channel not in self.channels:
            raise SubscriptionError(channel, "the client is not subscribed")
        del self.channels[channel]

    def renew_subscription(self, channel: str, token: str, answer: Answer[float | None]) -> None:
        if channel not in self.channels:
            raise SubscriptionError(channel, "the client is not subscribed")
        self._later("renew_subscription", answer)

    def granted(self, channel: str) -> Granted:
        return Granted()

    def publish(self, channel: str, payload: bytes, kind: Kind, outcome: Outcome | None = None) -> None:
        check_channel(channel)
        assert outcome is not None, "a failure would close the client"
        self._later("publish", outcome)

    def read_history(
        self, channel: str, query: HistoryQuery, encode: Callable[[Any], Any], answer: Answer[Any]
    ) -> None:
        check_channel(channel)
        if not channel.startswith("kept"):
            raise NotAvailable("the channel keeps no history")
        self._later("read_history", answer)

    def see_presence(self, channel: str, encode: Callable[[Any], Any], answer: Answer[Any]) -> None:
        check_channel(channel)
        self._later("see_presence", answer)

    def count_presence(self, channel: str, answer: Answer[Any]) -> None:
        check_channel(channel)
        self._later("count_presence", answer)

    def call(self, method: str, data: bytes, binary: bool, answer: Answer[bytes]) -> None:
        self._later("call", answer)

    def hold_deliveries(self) -> None:
        self.holding = True

    def reply(self, data: bytes) -> bool:
        self.holding = False
        self.send(data)
        return False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def send(self, data: bytes) -> None:
        assert not self.closed, "nothing follows the end"
        self.sent.append(data)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        if not self.closed:
            self.closed.append(why)
            self.closing(why)
