"""Messages that a session lacks for one and the same reason, together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tests.faults.judge.misses import Manner, Miss
from tests.faults.judge.session import Session


def grouped(misses: Iterable[Miss], manners: Collection[Manner]) -> Iterator[list[Miss]]:
    """Yield what each session lacks in each of some manners; of each the first that is proved is the first one."""
    groups: dict[tuple[Session, Manner], list[Miss]] = {}
    for miss in misses:
        if miss.manner in manners:
            groups.setdefault((miss.session, miss.manner), []).append(miss)
    for group in groups.values():
        yield sorted(group, key=lambda miss: miss.proved_at)
