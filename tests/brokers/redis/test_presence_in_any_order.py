"""Whatever gateways tell, and in whatever order they die: what is shown is so, and events tell it without a double."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from relay.brokers.envelope import open_envelope
from relay.brokers.presence import PresenceChange, Tally
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.presence import RedisPresenceStore
from relay.channel import EVENTS
from relay.member import Member, PresenceEvents
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions, Namespaces
from tests.harness.examples import examples
from tests.harness.redis_server import RedisServer

CHANNEL = "e:c"
GATEWAYS = 3
USERS = (None, "ann", "bob")

NAMESPACES = Namespaces(ChannelOptions(presence=True, join_leave=True))

_numbers = itertools.count()

_gateway = st.integers(0, GATEWAYS - 1)
_client = st.integers(0, 5)

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), _gateway, _client),
        st.tuples(st.just("go"), _gateway, _client),
        st.tuples(st.just("end"), _gateway, _client),
        st.tuples(st.just("repeat"), _gateway, _client),
        st.tuples(st.just("refresh"), _gateway, _client),
        st.tuples(st.just("die"), _gateway, _client),
    ),
    max_size=30,
)


class Gateway:
    """One gateway: what it has, and what it has told last.

    Args:
        store: its store.
        number: makes its clients others than those of the other gateways.
    """

    def __init__(self, store: RedisPresenceStore, number: int) -> None:
        self.store = store
        self._number = number
        self.members: dict[str, Member] = {}
        self.users: dict[str, Member] = {}
        self.dead = self.buried = False
        self._last = PresenceChange(CHANNEL)

    def client(self, number: int) -> Member:
        """Return one of its clients."""
        return Member(f"{self._number:016x}{number:016x}", USERS[number % len(USERS)])

    async def come(self, number: int) -> None:
        some = self.client(number)
        new = {} if some.name in self.users else {some.name: some}
        self.members[some.client] = some
        self.users |= new
        await self._tell(PresenceChange(CHANNEL, [some], users=new))

    async def go(self, number: int) -> None:
        """Let a client go, whose user may linger."""
        some = self.client(number)
        if self.members.pop(some.client, None) is not None:
            await self._tell(PresenceChange(CHANNEL, left=[some.client]))

    async def end(self, number: int) -> None:
        """Let a user go that lingers."""
        some = self.client(number)
        if some.name in self.users and all(other.name != some.name for other in self.members.values()):
            del self.users[some.name]
            await self._tell(PresenceChange(CHANNEL, gone={some.name: some}))

    async def repeat(self, number: int) -> None:
        """Tell the last change again, as after a failure."""
        await self._tell(self._last)

    async def refresh(self, number: int) -> None:
        await self._check((await self.store.refresh([CHANNEL]))[0])

    async def _tell(self, change: PresenceChange) -> None:
        self._last = change
        await self._check((await self.store.update([change]))[0])

    async def _check(self, count: Tally) -> None:
        """Tell all again, of which others heard that it has gone."""
        self.dead = False
        if not self.buried:
            assert count == self._tally
            return
        self.buried = False
        again = PresenceChange(CHANNEL, list(self.members.values()), users=self.users)
        assert await self.store.update([again]) == [self._tally]

    @property
    def _tally(self) -> Tally:
        return Tally(len(self.members), len(self.users))


class Scene:
    """Gateways on one Redis, and one who hears their events.

    Args:
        redis: the server.
    """

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._prefix = f"any-order-{next(_numbers)}:"
        address = parse_address(redis.url)
        self.gateways = [
            Gateway(RedisPresenceStore(address, self._prefix, 30.0, 3600.0, NAMESPACES, Counters()), number)
            for number in range(GATEWAYS)
        ]
        self._events: Any = redis.admin.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._topic = f"{self._prefix}{EVENTS}{CHANNEL}"
        self._events.subscribe(self._topic)
        self._events.get_message(timeout=30)
        self._told: set[str] = set()

    async def play(self, action: str, number: int, client: int) -> None:
        gateway = self.gateways[number]
        if action == "die":
            gateway.dead = bool(gateway.members or gateway.users) and not gateway.buried
            if gateway.dead:
                self._redis.admin.zadd(f"{self._prefix}{{{CHANNEL}}}:presence", {gateway.store.gateway: 1})
            return
        await getattr(gateway, action)(client)
        if action == "refresh":  # it buries the others that are dead
            for other in self.gateways:
                other.buried |= other.dead
                other.dead = False

    async def check(self) -> None:
        """Check that those are shown who are there, and that events have told of all users, each once."""
        shown = {
            some.client: some for one in self.gateways if not one.dead | one.buried for some in one.members.values()
        }
        for gateway in self.gateways:
            found = await gateway.store.members(CHANNEL)
            assert len(found) == len(shown)
            assert {some.client: some for some in found} == shown
        self._hear()
        assert self._told == {name for gateway in self.gateways if not gateway.buried for name in gateway.users}

    async def close(self) -> None:
        """Leave nothing behind."""
        for gateway in self.gateways:
            await gateway.store.close()
        self._events.close()

    def _hear(self) -> None:
        """Take the events that were published up to now."""
        self._redis.admin.publish(self._topic, b"end")
        while (data := self._events.get_message(timeout=30)["data"]) != b"end":
            events = msgspec.json.decode(open_envelope(CHANNEL, data).payload, type=PresenceEvents)
            assert events.channel == CHANNEL
            for some in events.left:
                self._told.remove(some.name)
            for some in events.joined:
                assert some.name not in self._told
                self._told.add(some.name)


@examples(40)
@example([("come", 0, 1), ("die", 0, 0), ("come", 1, 1), ("refresh", 1, 0), ("end", 0, 1), ("refresh", 0, 0)])
@example([("come", 0, 1), ("come", 1, 1), ("die", 0, 0), ("go", 1, 1), ("end", 1, 1), ("refresh", 2, 0)])
@example([("come", 0, 0), ("die", 0, 0), ("refresh", 1, 0), ("repeat", 0, 0), ("go", 0, 0), ("end", 0, 0)])
@example([("come", 0, 1), ("go", 0, 1), ("end", 0, 1), ("repeat", 0, 0), ("come", 0, 1), ("repeat", 0, 0)])
@given(actions=ACTIONS)
def test_what_is_shown_and_told_is_so(redis_server: RedisServer, actions: list[tuple[str, int, int]]) -> None:
    async def play() -> None:
        scene = Scene(redis_server)
        try:
            for action in actions:
                await scene.play(*action)
                await scene.check()
        finally:
            await scene.close()

    asyncio.run(play())
