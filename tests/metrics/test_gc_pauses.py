"""How long the garbage collector stops everything."""

from __future__ import annotations

import gc

from relay import Gateway, Settings
from relay.metrics.gc_pauses import GcPauses
from relay.metrics.histogram import Histogram


def test_pauses_are_counted_by_generation_until_the_end() -> None:
    counted = {generation: Histogram() for generation in (0, 1, 2)}
    pauses = GcPauses(counted)
    pauses.stop()
    pauses.start()
    try:
        gc.collect(2)
        gc.collect(2)
    finally:
        pauses.stop()
    count = counted[2].count
    assert count >= 2  # the collector may have had reasons of its own
    gc.collect(2)
    assert counted[2].count == count
    assert 0 < counted[2].seconds < 60


async def test_a_gateway_leaves_no_callback_behind() -> None:
    before = list(gc.callbacks)
    async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
        gc.collect()
        assert gateway.counters.gc_pauses[2].count >= 1
        assert len(gc.callbacks) == len(before) + 1
    assert gc.callbacks == before
