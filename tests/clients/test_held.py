"""What waits for a client whose transport is full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.clients.held import Held


def test_it_comes_out_in_order_and_is_measured() -> None:
    held = Held()
    assert not held
    held.add(b"one", 1)
    held.add(b"two", 0)
    assert (len(held), held.bytes, held.messages, held.message_bytes) == (2, 6, 1, 3)
    assert held.take() == b"onetwo"
    assert (len(held), held.bytes, held.messages, held.message_bytes) == (0, 0, 0, 0)
    held.add(b"three", 3)
    assert (held.messages, held.message_bytes) == (3, 5)
    held.clear()
    assert (held.messages, held.message_bytes) == (0, 0)
    assert held.take() == b""


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=3))))
def test_a_newer_message_takes_the_place_of_one_that_waits_and_answers_stay(steps: list[tuple[bool, bytes]]) -> None:
    held, kept = Held(), list[tuple[bool, bytes]]()
    for is_message, data in steps:
        if not is_message:
            held.add(data, 0)
        else:
            waiting = [other for message, other in kept if message]
            assert held.conflate(data) == (len(waiting[0]) if waiting else None)
            kept = [pair for pair in kept if not pair[0]]
        kept.append((is_message, data))
        assert held.bytes == sum(len(other) for _, other in kept)
        assert held.messages == sum(message for message, _ in kept) <= 1
        assert held.message_bytes == sum(len(other) for message, other in kept if message)
    assert held.take() == b"".join(data for _, data in kept)
