"""Lies for right histories: each makes of one that keeps all promises one that breaks a rule, and says which."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from tests.faults.mutations import deliveries, orders, states, telling, truths
from tests.faults.mutations.changes import Mutated
from tests.faults.mutations.spots import Spots

__all__ = ["MUTATIONS", "Mutated", "Spots"]

MUTATIONS: Final[list[Callable[[Spots, Random], Mutated]]] = [
    deliveries.lost,
    deliveries.lost_last,
    deliveries.lost_by_all,
    deliveries.doubled,
    deliveries.resumed_too_early,
    deliveries.resumed_too_late,
    deliveries.resumed_beyond,
    deliveries.recovered_falsely,
    orders.swapped,
    orders.early_for_all,
    orders.moved,
    orders.position_reused,
    orders.offset_skipped,
    orders.epoch_kept,
    telling.epoch_changed_silently,
    telling.gap_untold,
    telling.told_too_late,
    telling.never_closed,
    telling.closed_too_late,
    truths.crossed,
    truths.altered,
    truths.invented,
    truths.refused_falsely,
    states.deaf_but_ready,
    states.not_back,
    states.subscriber_away,
    states.member_forgotten,
    states.member_left_over,
    states.leaked,
]
