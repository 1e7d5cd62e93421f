"""Fan-out, without any I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from relay.hub import MAX_BATCH_BYTES, Hub
from relay.message import Message
from relay.metrics.counters import Counters
from relay.subscribers import Group, Subscriber
from tests.hub_bench import Bench, Listener, payload_only, shouted


def test_a_message_reaches_all_subscribers_but_its_sender_at_the_flush() -> None:
    bench, a, b, c = Bench(), Listener(1), Listener(2), Listener(3)
    for listener in (a, b, c):
        bench.hub.add("c", listener)
    bench.hub.receive(a.say("hi"))
    assert b.chunks == []
    bench.hub.flush()
    assert (a.chunks, b.chunks, c.chunks) == ([], [b"[hi]"], [b"[hi]"])


def test_echo_gets_its_own_messages_back() -> None:
    bench, a = Bench(), Listener(1, echo=True)
    bench.hub.add("c", a)
    bench.hub.receive(a.say("hi"))
    bench.hub.flush()
    assert a.chunks == [b"[hi]"]


def test_the_messages_of_a_tick_are_one_write_and_the_same_bytes() -> None:
    bench, a, b, c = Bench(), Listener(1), Listener(2), Listener(3)
    for listener in (a, b, c):
        bench.hub.add("c", listener)
    for text in ("1", "2", "3"):
        bench.hub.receive(a.say(text))
    assert bench.scheduled == 1
    bench.hub.flush()
    assert b.chunks == [b"[1][2][3]"]
    assert b.chunks[0] is c.chunks[0]
    assert b.count == 3
    assert (bench.counters.deliveries, bench.counters.writes, bench.counters.messages_delivered) == (6, 2, 3)


def test_a_sender_gets_the_others_messages_of_its_batch_in_order() -> None:
    bench, a, b = Bench(), Listener(1), Listener(2)
    bench.hub.add("c", a)
    bench.hub.add("c", b)
    for message in (a.say("a1"), b.say("b1"), a.say("a2"), b.say("b2")):
        bench.hub.receive(message)
    bench.hub.flush()
    assert a.chunks == [b"[b1][b2]"]
    assert b.chunks == [b"[a1][a2]"]
    assert (bench.counters.deliveries, bench.counters.writes, bench.counters.bytes_delivered) == (4, 2, 16)


def test_channels_are_apart_and_scheduled_together() -> None:
    bench, a, b = Bench(), Listener(1), Listener(2)
    bench.hub.add("c", a)
    bench.hub.add("d", b)
    bench.hub.receive(Message("c", b"for a"))
    bench.hub.receive(Message("d", b"for b"))
    bench.hub.receive(Message("e", b"for none"))
    assert bench.scheduled == 1
    bench.hub.flush()
    assert (a.chunks, b.chunks) == ([b"[for a]"], [b"[for b]"])
    bench.hub.flush()
    assert a.count == 1


def test_each_encoding_is_made_once_for_all_its_subscribers() -> None:
    bench, calls = Bench(), []

    def counted(message: Message) -> bytes:
        calls.append(message)
        return payload_only(message)

    listeners = [Listener(n, encoder=counted) for n in range(1, 51)]
    loud = Listener(99, encoder=shouted)
    for listener in [*listeners, loud]:
        bench.hub.add("c", listener)
    bench.hub.receive(Message("c", b"hi"))
    bench.hub.flush()
    assert len(calls) == 1
    assert loud.chunks == [b"HI!"]
    assert all(listener.chunks == [b"[hi]"] for listener in listeners)


def test_a_subscriber_may_leave_during_its_delivery() -> None:
    bench, a, b = Bench(), Listener(1), Listener(2)
    for listener in (a, b):
        bench.hub.add("c", listener)
    a.on_delivery = lambda: bench.hub.remove("c", a)
    bench.hub.receive(Message("c", b"1"))
    bench.hub.flush()
    bench.hub.receive(Message("c", b"2"))
    bench.hub.flush()
    assert (a.count, b.count) == (1, 2)


def test_a_message_that_comes_during_a_flush_is_delivered_by_the_next_one() -> None:
    """With the memory broker, what a delivery leads to may be a message."""
    bench, a, b = Bench(), Listener(1), Listener(2)
    bench.hub.add("c", a)
    bench.hub.add("d", b)
    a.on_delivery = lambda: bench.hub.receive(Message("d", b"2"))
    bench.hub.receive(Message("c", b"1"))
    bench.hub.flush()
    assert (b.chunks, bench.scheduled) == ([], 2)
    bench.hub.receive(Message("d", b"3"))
    assert bench.scheduled == 2
    bench.hub.flush()
    assert b.chunks == [b"[2][3]"]


def test_a_channel_without_subscribers_is_forgotten() -> None:
    bench, a, b = Bench(), Listener(1), Listener(2, encoder=shouted)
    bench.hub.add("c", a)
    bench.hub.add("c", a)
    bench.hub.add("c", b)
    assert (len(bench.hub), bench.hub.subscribers("c"), bench.hub.subscribers("d")) == (1, 2, 0)
    for listener in (a, a, b):
        bench.hub.remove("c", listener)
    bench.hub.remove("d", a)
    assert (len(bench.hub), bench.hub.subscribers("c")) == (0, 0)


def test_a_batch_whose_last_subscriber_left_is_delivered_to_no_later_one() -> None:
    bench, a, late = Bench(), Listener(1), Listener(2)
    bench.hub.add("c", a)
    bench.hub.receive(Message("c", b"1"))
    bench.hub.remove("c", a)
    bench.hub.add("c", late)
    bench.hub.flush()
    assert (a.chunks, late.chunks) == ([], [])


def test_a_large_batch_does_not_wait_for_the_flush() -> None:
    bench, a = Bench(), Listener(1)
    bench.hub.add("c", a)
    half = bytes(MAX_BATCH_BYTES // 2)
    bench.hub.receive(Message("c", half))
    assert a.count == 0
    bench.hub.receive(Message("c", half))
    assert a.count == 2
    bench.hub.receive(Message("c", b"later"))
    assert a.count == 2
    bench.hub.flush()
    assert a.count == 3


def test_a_handler_gets_messages_at_once_and_none_is_counted_as_delivered() -> None:
    bench = Bench()
    handled: list[Message] = []
    bench.hub.listen(" control", handled.append)
    message = Message(" control", b"x")
    bench.hub.receive(message)
    assert handled == [message]
    assert (bench.scheduled, len(bench.hub), bench.hub.channels) == (0, 0, [])
    assert bench.counters.messages_delivered == 0
    bench.hub.unlisten(" control")
    bench.hub.receive(message)
    assert handled == [message]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40))
def test_all_subscribers_get_the_others_messages_once_in_one_order(script: list[tuple[int, bool]]) -> None:
    """Whichever subscribers publish, and wherever the flushes fall."""
    bench = Bench()
    listeners = [Listener(n, echo=n == 0) for n in range(5)]
    for listener in listeners:
        bench.hub.add("c", listener)
    said: list[tuple[int, bytes]] = []
    for number, (speaker, flush) in enumerate(script):
        bench.hub.receive(listeners[speaker].say(str(number)))
        said.append((speaker, b"[%d]" % number))
        if flush:
            bench.hub.flush()
    bench.hub.flush()
    for n, listener in enumerate(listeners):
        assert b"".join(listener.chunks) == b"".join(text for speaker, text in said if n == 0 or speaker != n)
    assert bench.counters.deliveries == sum(listener.count for listener in listeners)
    assert bench.counters.writes == sum(len(listener.chunks) for listener in listeners)
    assert bench.counters.bytes_delivered == sum(len(chunk) for listener in listeners for chunk in listener.chunks)


class Recorder:
    """A fan-out that writes to those whose numbers are even, and keeps what it was asked for."""

    def __init__(self, least: int) -> None:
        self.least = least
        self.asked: list[tuple[int, bytes, list[Subscriber]]] = []

    def deliver(self, group: Group, data: bytes, without: Collection[Subscriber]) -> Collection[Subscriber]:
        """Leave the others to the hub."""
        self.asked.append((len(group), data, list(without)))
        apart = {subscriber.id for subscriber in without}
        return [one for one in group.values() if one.id[-1] % 2 and one.id not in apart]

    def gathers(self, group: Group) -> bool:
        """Return that nobody does; see `tests/test_hub_together.py`."""
        return False

    def deliver_together(self, deliveries: Sequence[tuple[Group, bytes]]) -> tuple[list[Collection[Subscriber]], int]:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def test_a_fan_out_is_given_the_groups_that_are_large_enough() -> None:
    counters, fan_out = Counters(), Recorder(least=3)
    hub = Hub(counters, lambda: None, fan_out)
    few, many = [Listener(n) for n in (2, 3)], [Listener(n) for n in (4, 5, 6, 7)]
    for channel, listeners in (("few", few), ("many", many)):
        for listener in listeners:
            hub.add(channel, listener)
        hub.receive(Message(channel, b"hi"))
    hub.flush()
    assert fan_out.asked == [(4, b"[hi]", [])]
    assert [len(listener.chunks) for listener in few] == [1, 1]
    assert [listener.chunks for listener in many] == [[], [b"[hi]"], [], [b"[hi]"]]
    # What was written for them counts as what they have written.
    assert (counters.deliveries, counters.writes, counters.bytes_delivered) == (6, 6, 24)


def test_a_fan_out_is_told_who_does_not_want_the_bytes() -> None:
    fan_out = Recorder(least=1)
    hub = Hub(Counters(), lambda: None, fan_out)
    listeners = [Listener(n) for n in range(4)]
    for listener in listeners:
        hub.add("c", listener)
    for message in (listeners[1].say("one"), listeners[2].say("two")):
        hub.receive(message)
    hub.flush()
    assert fan_out.asked == [(4, b"[one][two]", [listeners[1], listeners[2]])]
    assert [listener.chunks for listener in listeners] == [[], [b"[two]"], [b"[one]"], [b"[one][two]"]]


def test_a_group_that_changes_loses_what_a_fan_out_keeps_of_it() -> None:
    group, one, two = Group(), Listener(1), Listener(2)
    for change in (lambda: group.join(one), lambda: group.join(two), lambda: group.leave(one)):
        group.kept = "something"
        change()
        assert group.kept is None
    assert not group.leave(one)
    assert list(group.values()) == [two]
