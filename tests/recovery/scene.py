"""A bus, a gateway and what they do, in any order."""

from __future__ import annotations

from hypothesis import strategies as st

from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.sequence import State
from tests.recovery.channel_bus import Bus
from tests.recovery.channel_world import Gateway

HARMLESS = ("publish", "hear", "lose", "gap", "look", "begin", "answer", "fail", "arrive", "come", "join", "forget")
HARMFUL = ("trim", "flush", "fail over", "give up", "expire", "answer stale")

OPENED = ("begin", "answer", "arrive", "come", "join")
"""Opens the channel, and lets a client in."""

Acts = list[tuple[str, int]]


OVERTAKEN = (*OPENED, "publish", "hear", "fail over", "publish", "hear", "begin")
"""A message of another epoch has come, and the history is read."""


def plays(*acts: str, begin: tuple[str, ...] = OPENED) -> st.SearchStrategy[Acts]:
    """Return orders of acts, most of them on a channel that is open."""
    some = st.lists(st.tuples(st.sampled_from(acts), st.integers(0, 7)), max_size=70)
    return st.tuples(st.sampled_from([OPENED, begin, ()]), some).map(lambda two: [(act, 0) for act in two[0]] + two[1])


harmless, anything = plays(*HARMLESS), plays(*HARMLESS, *HARMFUL, begin=OVERTAKEN)


class Scene:
    """A bus, a gateway, and what they do."""

    def __init__(self, options: ChannelOptions, room: int = 1000, *, says_began: bool = True) -> None:
        self.bus = Bus(options.history_size, says_began=says_began)
        self.gateway = Gateway(self.bus, options, room)

    def do(self, act: str, number: int) -> None:
        """Let one thing happen."""
        bus, gateway = self.bus, self.gateway
        if act == "publish":
            bus.publish()
        elif act == "trim":
            bus.trim(number)
        elif act == "flush":
            bus.flush()
        elif act == "fail over":
            bus.fail_over(number % 3)
        elif act == "lose":
            bus.lose()
        elif act == "expire":
            if gateway.sequence.state is State.LIVE:
                gateway.sequence.expire()
        elif act == "forget":
            gateway.sequence.forget()
        elif act == "come":
            gateway.come(self._resume(number), honest=number < 6)
        else:
            getattr(gateway, act.replace(" ", "_"))()
        gateway.check()

    def _resume(self, number: int) -> Position | int:
        top = self.bus.top
        if number == 7:
            return Position("another", top.offset)
        if number == 6:
            return Position(top.epoch, top.offset + 5)
        return Position(top.epoch, max(0, top.offset - number)) if number % 2 else number

    def settle(self) -> None:
        """Let everything arrive that is on its way, until nothing changes any more."""
        gateway = self.gateway
        for turn in range(12):
            if turn == 6:
                gateway.give_up()  # at the latest
            while self.bus.link:
                gateway.hear()
            gateway.begin()
            gateway.answer()
            gateway.arrive()
            while self.bus.link:
                gateway.hear()
            if gateway.doubts:
                gateway.give_up()
            gateway.join()
            gateway.look()


def played(options: ChannelOptions, acts: Acts, room: int = 1000, *, says_began: bool = True) -> Scene:
    """Return a scene at its end."""
    scene = Scene(options, room, says_began=says_began)
    for act, number in acts:
        scene.do(act, number)
    return played_on(scene)


def played_on(scene: Scene) -> Scene:
    """Return it at its end."""
    scene.settle()
    return scene


def check_end(scene: Scene) -> None:
    """Everybody is at the end of the channel."""
    gateway = scene.gateway
    assert gateway.sequence.state is State.LIVE
    assert gateway.sequence.position == scene.bus.top
    assert gateway.waiting == gateway.asked == []
    for client in gateway.clients:
        assert client.position == scene.bus.top
