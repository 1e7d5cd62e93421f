"""Every delivery counts in the second in which its message was due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator.chunk import DecodedChunk
from relay.loadtest.generator.latency_recorder import LatencyRecorder
from relay.loadtest.result.time_histogram import BucketCounts, TimeHistogram

EPOCH = 5_000_000_000_000
SECOND = 1_000_000_000


def read(times: list[int], *messages: tuple[int, int]) -> DecodedChunk:
    """Return a chunk that came at some moments after the epoch; each message has a due time in ns and a lag in µs."""
    chunk = DecodedChunk()
    chunk.times = [EPOCH + time for time in times]
    chunk.dues = [due for due, _ in messages]
    chunk.lags = [lag for _, lag in messages]
    return chunk


def values(counts: BucketCounts) -> dict[int, int]:
    """Return times in µs and how often each was counted; exact below 2048 µs."""
    buckets, numbers = counts
    return dict(zip(buckets.tolist(), numbers.tolist(), strict=True))


def taken(recorder: LatencyRecorder) -> dict[int, tuple[dict[int, int], dict[int, int]]]:
    """Return second → times from due and from sent."""
    return {second: (values(due), values(sent)) for second, due, sent in recorder.take()}


def test_known_times_are_counted() -> None:
    recorder = LatencyRecorder(EPOCH)
    count = recorder.record(
        [
            read([2_000_000, 2_500_000], (1_000_000, 400), (1_999_999, 0)),
            read([SECOND + 7_000], (SECOND, 2)),
        ]
    )
    assert (count, recorder.delivered) == (5, 5)
    assert taken(recorder) == {
        0: ({1000: 1, 1500: 1, 1: 1, 500: 1}, {600: 1, 1100: 1, 1: 1, 500: 1}),
        1: ({7: 1}, {5: 1}),
    }


def test_a_message_that_came_late_counts_where_it_was_due() -> None:
    recorder = LatencyRecorder(EPOCH)
    recorder.record([read([3 * SECOND], (SECOND - 1, 0))])
    assert list(taken(recorder)) == [0]


def test_what_was_taken_is_forgotten_but_still_counts_as_delivered() -> None:
    recorder = LatencyRecorder(EPOCH)
    recorder.record([read([SECOND], (0, 0))])
    assert len(taken(recorder)) == 1
    assert (taken(recorder), recorder.delivered) == ({}, 1)


def test_chunks_without_messages_or_arrivals_count_nothing() -> None:
    """Such as a ping, and a message that came to nobody who counts it."""
    recorder = LatencyRecorder(EPOCH)
    assert recorder.record([]) == 0
    assert recorder.record([read([SECOND]), read([], (0, 0))]) == 0
    assert (taken(recorder), recorder.delivered) == ({}, 0)


_moments = st.integers(0, 3 * SECOND)
_readings = st.lists(
    st.tuples(st.lists(_moments, max_size=6), st.lists(st.tuples(_moments, st.integers(0, 2_000_000)), max_size=6)),
    max_size=6,
)


@given(_readings)
def test_batches_come_to_what_single_deliveries_come_to(
    batches: list[tuple[list[int], list[tuple[int, int]]]],
) -> None:
    recorder = LatencyRecorder(EPOCH)
    expected: dict[int, tuple[TimeHistogram, TimeHistogram]] = {}
    for times, messages in batches:
        for due, lag in messages:
            for time in times:
                from_due, from_sent = expected.setdefault(due // SECOND, (TimeHistogram(), TimeHistogram()))
                late = (time - due) // 1000
                from_due.add_one(late)
                from_sent.add_one(late - lag)
    count = recorder.record([read(times, *messages) for times, messages in batches])
    assert count == recorder.delivered == sum(len(times) * len(messages) for times, messages in batches)
    simple = {second: (values(due.take()), values(sent.take())) for second, (due, sent) in expected.items()}
    assert taken(recorder) == simple
