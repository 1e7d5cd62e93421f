"""Replies to surveys, a little in each tick."""

from __future__ import annotations

import asyncio

import pytest

from relay.control import responder
from relay.control.messages import ControlMessageError, NodeInfo, SurveyReply, SurveyRequest
from relay.control.responder import NAMES_PER_TICK, SurveyResponder
from relay.hub import Hub
from relay.metrics.counters import Counters
from tests.harness.conditions import wait_until
from tests.hub_bench import Listener

ASKER = "0123456789abcdef"
INFO = NodeInfo(ASKER, "host:1", "1.0", 1, 2, 3, 4, 5)


class Scene:
    """A hub with some channels, and its replies to surveys."""

    def __init__(self, channels: int) -> None:
        self.hub = Hub(Counters(), lambda: None)
        for number in range(channels):
            self.hub.add(f"c{number}", Listener(1))
        self.replies: list[SurveyReply] = []
        self.responder = SurveyResponder(self.hub, lambda: INFO, lambda asker, reply: self.replies.append(reply))

    def ask(self, number: int, pattern: str | None = None) -> None:
        """Add the request of a survey."""
        self.responder.add(SurveyRequest(asker=ASKER, number=number, pattern=pattern))


async def test_all_requests_are_replied_to_in_their_order() -> None:
    scene = Scene(3)
    for number, pattern in enumerate(["c1", None, "*", "C*", "c[!12]", None], 1):
        scene.ask(number, pattern)
    await wait_until(lambda: len(scene.replies) == 6)
    assert [reply.number for reply in scene.replies] == [1, 2, 3, 4, 5, 6]
    assert [reply.channels for reply in scene.replies] == [
        {"c1": 1},
        None,
        {"c0": 1, "c1": 1, "c2": 1},
        {},
        {"c0": 1},
        None,
    ]
    assert [reply.about for reply in scene.replies] == [None, INFO, None, None, None, INFO]
    scene.ask(7)
    assert len(scene.replies) == 7


async def test_a_tick_compares_a_bounded_number_of_names() -> None:
    scene = Scene(NAMES_PER_TICK * 3)
    scene.ask(1, "*7")
    scene.hub.remove("c1497", Listener(1))
    ticks = 0
    while not scene.replies:
        await asyncio.sleep(0)
        ticks += 1
    assert ticks == 3
    assert scene.replies[0].channels == {f"c{n}": 1 for n in range(NAMES_PER_TICK * 3) if n % 10 == 7 and n != 1497}


async def test_too_many_channels_are_an_error_not_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MAX_CHANNELS", 2)
    scene = Scene(3)
    scene.ask(1, "*")
    scene.ask(2, "c[12]")
    await wait_until(lambda: len(scene.replies) == 2)
    assert [reply.channels for reply in scene.replies] == [None, {"c1": 1, "c2": 1}]


async def test_more_requests_than_all_gateways_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "MAX_WAITING", 3)
    scene = Scene(1)
    for number in range(1, 5):
        scene.ask(number)  # the first is answered at once
    with pytest.raises(ControlMessageError, match="more than 3"):
        scene.ask(5)
    await wait_until(lambda: len(scene.replies) == 4)


async def test_after_a_stop_nothing_is_replied_to() -> None:
    scene = Scene(NAMES_PER_TICK * 2)
    scene.ask(1, "*")
    scene.ask(2)
    scene.responder.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not scene.replies


async def test_no_pattern_takes_exponential_time() -> None:
    """The worst that 255 letters of pattern and of name can do."""
    hub = Hub(Counters(), lambda: None)
    for number in range(100):
        hub.add("a" * 250 + f"{number:03}", Listener(1))
    replies: list[SurveyReply] = []
    slow = SurveyResponder(hub, lambda: INFO, lambda asker, reply: replies.append(reply))
    for number, pattern in enumerate(["*a" * 120 + "b", "*" * 255, "*" + "a" * 200 + "b*", "[a-z]*" * 42 + "!"], 1):
        slow.add(SurveyRequest(asker=ASKER, number=number, pattern=pattern))
    await wait_until(lambda: len(replies) == 4)
    assert [len(reply.channels or ()) for reply in replies] == [0, 100, 0, 0]
