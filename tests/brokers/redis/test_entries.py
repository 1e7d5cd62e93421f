"""Entries of streams: whatever they have in common, each message is read once, and none that isn't kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.envelope import HEADER_BYTES
from relay.brokers.redis.entries import Entry, Wanted

SIZES = st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=5), max_size=8)


def entries_of(groups: list[list[int]]) -> tuple[list[Entry], list[bytes]]:
    """Return entries with messages of such sizes, and all envelopes."""
    entries: list[Entry] = []
    envelopes: list[bytes] = []
    before = 0
    for group in groups:
        fields: list[bytes] = []
        for number, size in enumerate(group):
            envelopes.append(b"%019d" % len(envelopes) + b"x" * size)
            fields += [b"m%d" % number, envelopes[-1]]
        entries.append((b"%d-%d" % (len(envelopes), before), fields))
        before += sum(group)
    assert HEADER_BYTES == 19
    return entries, envelopes


@given(
    SIZES, st.integers(1, 30), st.integers(0, 200), st.none() | st.integers(0, 45), st.integers(0, 40), st.booleans()
)
def test_what_is_wanted_and_kept_is_picked(
    groups: list[list[int]], size: int, size_bytes: int, since: int | None, limit: int, newest_first: bool
) -> None:
    entries, envelopes = entries_of(groups)
    top = len(envelopes)
    kept: list[int] = []
    used = 0
    for offset in range(top, max(0, top - size), -1):
        used += len(envelopes[offset - 1]) - HEADER_BYTES
        if used > size_bytes and offset != top:
            break
        kept.insert(0, offset)
    if newest_first:
        expected = [offset for offset in reversed(kept) if since is None or offset < since][:limit]
    else:
        expected = [offset for offset in kept if since is None or offset > since][:limit]
    wanted = Wanted(size, size_bytes, since, limit, newest_first)
    total = sum(len(envelope) - HEADER_BYTES for envelope in envelopes)
    picked = list(wanted.pick(entries[::-1] if newest_first else entries, top, total))
    assert picked == [(offset, envelopes[offset - 1]) for offset in expected]


def test_without_entries_nothing_is_picked() -> None:
    assert list(Wanted(10, 10, None, 10, False).pick([], 5, 100)) == []
