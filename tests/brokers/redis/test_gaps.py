"""Gaps that are not over yet."""

from __future__ import annotations

from collections.abc import Collection

from relay.brokers.redis.gaps import Gaps
from relay.brokers.redis.subscribe_commands import BusSubscription


class Watch:
    """Gaps, with what they tell and a clock in the test's hands."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[list[str], float]] = []
        self.gaps = Gaps(self._tell, lambda: self.now)

    def _tell(self, channels: Collection[str], seconds: float) -> None:
        self.told.append((sorted(channels), seconds))


def subscription(name: str, *, heard: bool) -> BusSubscription:
    """Return a subscription; needs a running event loop."""
    made = BusSubscription(name, print)
    if heard:
        made.acknowledged.set_result(None)
    return made


def test_a_gap_begins_with_the_last_answered_question_or_with_the_last_probe_if_that_was_later() -> None:
    for heard, answered, seconds in ((103.0, 107.0, 13.0), (108.0, 107.0, 12.0)):
        watch = Watch()
        watch.gaps.heard(heard)
        watch.now = 112.0
        watch.gaps.begin(["a", "b"], answered)
        watch.now = 120.0
        watch.gaps.end()
        assert watch.told == [(["a", "b"], seconds)]
        assert len(watch.gaps) == 0


def test_a_second_loss_does_not_shorten_the_gap() -> None:
    watch = Watch()
    watch.gaps.begin(["a"], 95.0)
    watch.gaps.begin(["a", "b"], 99.0)
    watch.gaps.end()
    assert watch.told == [(["a", "b"], 5.0)]


def test_distrust_begins_the_gap_whatever_was_answered_but_not_before_the_link() -> None:
    watch = Watch()
    watch.gaps.link_opened()
    watch.gaps.invalidate(50.0)
    assert watch.gaps.invalidated
    watch.now = 110.0
    watch.gaps.begin(["a"], 109.0)
    watch.gaps.link_opened()
    assert not watch.gaps.invalidated
    watch.gaps.end()
    watch.gaps.invalidate(115.0)
    watch.now = 120.0
    watch.gaps.begin(["a"], 119.0)
    watch.gaps.end()
    assert watch.told == [(["a"], 10.0), (["a"], 5.0)]


async def test_a_channel_that_is_still_refused_keeps_its_gap_until_it_is_heard() -> None:
    watch = Watch()
    watch.gaps.begin(["a", "b"], 99.0)
    watch.gaps.end_heard([subscription("a", heard=True), subscription("b", heard=False)])
    watch.now = 101.0
    watch.gaps.end_one("b")
    watch.gaps.end_one("b")
    watch.gaps.end()
    assert watch.told == [(["a"], 1.0), (["b"], 2.0)]


def test_a_channel_that_was_left_belongs_to_the_gap_until_it_is_certain_that_all_was_heard() -> None:
    watch = Watch()
    watch.gaps.leave("left early")
    watch.now = 101.0
    watch.gaps.heard(100.5)
    watch.gaps.leave("left late")
    watch.gaps.begin(["a"], 100.5)
    watch.now = 102.0
    watch.gaps.end()
    assert watch.told == [(["a", "left late"], 1.5)]
    watch.gaps.begin(["a"], 102.0)
    watch.gaps.end()
    assert watch.told[1:] == [(["a"], 0.0)]
