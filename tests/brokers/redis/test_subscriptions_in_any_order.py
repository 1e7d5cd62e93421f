"""Whatever clients, Redis and the network do, in whatever order: what is wanted is heard in the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import hiredis
from hypothesis import example, given
from hypothesis import strategies as st

from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.link import Link
from relay.brokers.redis.subscriptions import Subscriptions
from relay.errors import SubscribeError
from relay.metrics.counters import Counters
from tests.brokers.recording import RecordingSink

CHANNELS = ("a", "b", "c", "d")
PROBE = " probe"


class ScriptedRedis:
    """The other end of one link after another; it answers when it is told to. A `Link` by what is called of it."""

    def __init__(self) -> None:
        self.forbidden: set[bytes] = set()
        self.subscribed: set[bytes] = set()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._commands: deque[list[bytes]] = deque()

    def write(self, data: bytes) -> None:
        reader = hiredis.Reader()
        reader.feed(data)
        while (command := reader.gets()) is not False:
            self._commands.append(command)

    def abort(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    def answer(self, count: int) -> list[bytes]:
        """Execute so many commands that wait; return the replies."""
        replies = []
        for _ in range(min(count, len(self._commands))):
            verb, *keys = self._commands.popleft()
            if verb == b"SUBSCRIBE" and self.forbidden.intersection(keys):
                replies.append(b"-NOPERM no\r\n")
                continue
            for key in keys:
                self.subscribed.add(key) if verb == b"SUBSCRIBE" else self.subscribed.discard(key)
                replies.append(b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n:1\r\n" % (len(verb), verb.lower(), len(key), key))
            if verb == b"PING":
                replies.append(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        return replies

    @property
    def silent(self) -> bool:
        """Whether everything is answered."""
        return not self._commands


class Scene:
    """Subscriptions on a scripted Redis, and what has become of them."""

    def __init__(self) -> None:
        self.sink = RecordingSink()
        self.subscriptions = Subscriptions(
            fixed(Address()),
            3.0,
            1.0,
            Counters(),
            prefix="",
            probe=PROBE.encode(),
            sink=self.sink,
            receiver=lambda channel: self.sink.receive,
            probe_received=_ignore,
            changed=_nothing,
        )
        self.redis: ScriptedRedis | None = None
        self.forbidden: set[bytes] = set()
        self.opening: asyncio.Task[None] | None = None
        self.deaf: set[str] = set()
        self.held: dict[str, asyncio.Future[None]] = {}

    async def do(self, step: str, argument: Any) -> None:
        """Do one step of a script."""
        match step:
            case "subscribe":
                self.held[argument] = self.subscriptions.subscribe(argument)
            case "leave":
                self.held.pop(argument, None)
                self.subscriptions.unsubscribe(argument)
            case "forbid":
                self.forbidden.add(argument.encode())
            case "allow":
                self.forbidden.discard(argument.encode())
            case "answer":
                self.answer(argument)
            case "retry":
                self.subscriptions.refused.retry()
            case "ask" if self.redis is not None:
                self.subscriptions.send_heartbeat(cast(Link, self.redis))
            case "lose":
                await self.lose()
            case "open":
                await self.open()
        await _turn()

    async def open(self) -> None:
        """Open a link if there is none."""
        if self.redis is None:
            self.redis = ScriptedRedis()
            self.redis.forbidden = self.forbidden
            self.subscriptions.link = cast(Link, self.redis)
            self.opening = asyncio.create_task(self.subscriptions.opened(self.subscriptions.link))

    async def lose(self) -> None:
        """Break the link."""
        if self.redis is None or self.opening is None:
            return
        # Who was heard until now may miss something from now on.
        self.deaf |= {name for name, future in self.held.items() if _heard(future)}
        self.redis.abort("lost")
        await self.opening
        self.redis = self.subscriptions.link = None
        self.subscriptions.lost("lost")
        self.held = {name: self.subscriptions.subscribe(name) for name in self.held if name in self.wanted}

    def answer(self, count: int) -> None:
        """Let Redis answer."""
        if self.redis is None:
            return
        reader = hiredis.Reader()
        reader.feed(b"".join(self.redis.answer(count)))
        self.subscriptions.replies_received(reader.gets)
        assert not self.redis.closed.done(), self.redis.closed.result()

    @property
    def wanted(self) -> set[str]:
        """The channels that are wanted."""
        return {key.decode() for key in self.subscriptions._wanted}

    async def settle(self) -> None:
        """Let everything be allowed and answered."""
        self.forbidden.clear()
        await self.do("open", None)
        for _ in range(20):
            await self.do("answer", 1000)
            await self.do("retry", None)


def _heard(future: asyncio.Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _ignore(payload: bytes) -> None:
    """Hear nothing."""


def _nothing() -> None:
    """Do nothing."""


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def steps() -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Return scripts of clients, of Redis and of the network."""
    named = st.tuples(st.sampled_from(["subscribe", "leave", "forbid", "allow"]), st.sampled_from(CHANNELS))
    probe = st.tuples(st.sampled_from(["forbid", "allow"]), st.just(PROBE))
    answers = st.tuples(st.just("answer"), st.integers(1, 4))
    others = st.tuples(st.sampled_from(["retry", "ask", "lose", "open"]), st.none())
    return st.lists(st.one_of(named, named, answers, others, probe), max_size=40)


LEFT_WHILE_REFUSED = [
    ("open", None),
    *[("subscribe", name) for name in "abc"],
    ("answer", 9),
    ("lose", None),
    ("forbid", "b"),
    ("open", None),
    ("leave", "b"),
    ("answer", 9),
]
"""A channel that is left after the batch with it was sent again, and before Redis refuses that."""

REFUSED = [
    ("open", None),
    *[("subscribe", name) for name in "ab"],
    ("answer", 9),
    ("lose", None),
    ("forbid", "b"),
    ("open", None),
    ("answer", 9),
    ("answer", 9),
]
"""A channel with clients that Redis refuses when the link is opened anew."""


@example(script=LEFT_WHILE_REFUSED)
@example(script=[*REFUSED, ("leave", "b")])
@example(script=[*REFUSED, ("leave", "b"), ("lose", None)])
@example(script=[*REFUSED, ("lose", None), ("leave", "b")])
@example(script=[*REFUSED, ("allow", "b"), ("retry", None), ("answer", 9)])
@given(script=steps())
def test_what_is_wanted_is_heard_in_the_end_and_what_was_missed_is_told(script: Iterable[tuple[str, Any]]) -> None:
    asyncio.run(_play(script))


async def _play(script: Iterable[tuple[str, Any]]) -> None:
    scene = Scene()
    for step, argument in script:
        await scene.do(step, argument)
    await scene.settle()
    subscriptions, redis = scene.subscriptions, scene.redis
    assert redis is not None
    assert scene.opening is not None
    assert scene.opening.done(), "the link never comes into use"
    assert redis.silent
    assert {key.decode() for key in redis.subscribed} == {PROBE, *scene.wanted}
    assert all(_heard(subscription.acknowledged) for subscription in subscriptions._wanted.values())
    # Nothing stays anywhere.
    assert not subscriptions._unanswered
    assert not subscriptions._outbox
    assert not list(subscriptions.refused)
    assert len(subscriptions.gaps) == 0
    assert all(subscription.unanswered == 0 for subscription in subscriptions._wanted.values())
    # Whoever was heard when a link broke is told of the gap, whatever has become of the channel.
    assert {name for channels, _ in scene.sink.gaps for name in channels} == scene.deaf
    for future in scene.held.values():
        with suppress(SubscribeError, asyncio.CancelledError):
            await future
    await subscriptions.stop()


async def test_a_gap_is_told_before_the_first_message_behind_it() -> None:
    """Also when both arrive at once, and other channels are not heard yet."""
    scene = Scene()
    gaps = scene.sink.gaps
    told: list[list[list[str]]] = []
    scene.sink.receive = lambda message: told.append([channels for channels, _ in gaps])  # type: ignore[method-assign]
    for step, argument in (("open", None), ("subscribe", "a"), ("subscribe", "b"), ("answer", 9)):
        await scene.do(step, argument)
    for step, argument in (("lose", None), ("forbid", "b"), ("open", None), ("answer", 1)):
        await scene.do(step, argument)
    assert scene.redis is not None
    reader = hiredis.Reader()
    reader.feed(b"".join(scene.redis.answer(2)) + b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n" * 2)
    scene.subscriptions.replies_received(reader.gets)
    assert told == [[["a"]], [["a"]]]
    await scene.settle()
    assert [channels for channels, _ in gaps] == [["a"], ["b"]]
