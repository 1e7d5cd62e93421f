"""The bugs, each as a function that puts it into this process, before anything runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from itertools import count
from typing import Any, Final

from relay.brokers import Published, Receipt
from relay.brokers.redis import lua, lua_position, scripts
from relay.member import Member
from relay.message import PositionedMessage
from relay.node import Node
from relay.position import Position
from relay.presence.presences import Presences
from relay.recovery.recent_messages import RecentMessages
from relay.recovery.sequence import Sequence, State
from relay.replay import Replay, Resume

FORGOTTEN_OF: Final = 3
"""One of so many clients is forgotten."""

Plant = Callable[[], None]


def skip_the_gap_read() -> None:
    """Go on behind a hole as if nothing were missing, without reading the history."""
    receive = Sequence.receive

    def receive_carelessly(self: Sequence, message: PositionedMessage) -> None:
        position, last = message.position, self.position
        if self.state is State.LIVE and position.epoch == last.epoch and position.offset > last.offset:
            self._advance(message)
        else:
            receive(self, message)

    def ignore(self: Sequence) -> None:
        pass

    Sequence.receive = receive_carelessly  # type: ignore[method-assign]
    Sequence.gap = ignore  # type: ignore[method-assign]


def acknowledge_before_redis() -> None:
    """Tell publishers that their message is published before Redis has it."""
    from relay.brokers.redis.broker import RedisBroker

    publish = RedisBroker.publish

    def publish_carelessly(
        self: RedisBroker, message: Any, source: Any, receipt: Receipt | None = None, idempotency_key: str | None = None
    ) -> bool:
        if receipt is not None:
            asyncio.get_running_loop().call_soon(receipt, Published(1))
        return publish(self, message, source, None, idempotency_key)

    RedisBroker.publish = publish_carelessly  # type: ignore[method-assign]


def replay_off_by_one() -> None:
    """Leave out the first message of those that a client has missed."""
    replay = RecentMessages.replay

    def replay_carelessly(self: RecentMessages, resume: Resume, last: Position, reading: Any) -> Replay:
        right = replay(self, resume, last, reading)
        if not isinstance(resume, Position):
            return right
        return Replay(right.position, right.messages[1:], recovered=right.recovered)

    RecentMessages.replay = replay_carelessly  # type: ignore[method-assign]


def drop_on_reconnect() -> None:
    """Let what was published while the bus was away be missed in silence."""

    def ignore(self: Node, channels: Collection[str], seconds: float) -> None:
        pass

    Node.gap = ignore  # type: ignore[method-assign]


def reuse_offsets_after_failover() -> None:
    """Go on with the epoch whatever primary is in use."""
    renews = "if not epoch or (found ~= unset and found ~= primary) then"

    def careless(source: str) -> str:
        assert renews in source
        return source.replace(renews, "if not epoch then")

    lua.PUBLISH = careless(lua.PUBLISH)  # type: ignore[misc]
    scripts.READ = scripts.make_script(careless(lua_position.READ), scripts._WORDS)  # type: ignore[misc]


def forget_a_presence_entry() -> None:
    """Leave out some of the clients that come to a channel."""
    joined = Presences.joined
    numbers = count()

    def join_carelessly(self: Presences, channel: str, member: Member, *, told: bool = True) -> None:
        if next(numbers) % FORGOTTEN_OF:
            joined(self, channel, member, told=told)

    Presences.joined = join_carelessly  # type: ignore[method-assign]


def claim_to_have_recovered() -> None:
    """Tell Centrifuge clients that come back that they have missed nothing, and send them nothing of that."""
    from relay.protocols.centrifuge.subscriptions import Recovery

    begin = Recovery.__init__

    def begin_carelessly(self: Recovery, options: Any, request: Any, replay: Replay | None) -> None:
        recovered = None if replay is None else Replay(replay.position, [], recovered=True)
        begin(self, options, request, recovered)

    Recovery.__init__ = begin_carelessly  # type: ignore[method-assign]


def go_on_until_closed() -> None:
    """Send Centrifuge clients what comes behind a gap of a channel that they have with their connection."""
    from relay.clients.multiplexed_session import MultiplexedSession

    def go_on(self: MultiplexedSession, channel: str) -> None:
        self._there.close_in_turn()

    MultiplexedSession.fall_silent = go_on  # type: ignore[method-assign]


BUGS: Final[dict[str, Plant]] = {
    plant.__name__.replace("_", "-"): plant
    for plant in (
        skip_the_gap_read,
        acknowledge_before_redis,
        replay_off_by_one,
        drop_on_reconnect,
        reuse_offsets_after_failover,
        forget_a_presence_entry,
        claim_to_have_recovered,
        go_on_until_closed,
    )
}
"""The bugs by their names."""
