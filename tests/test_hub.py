"""Fan-out, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.hub import MAX_BATCH_BYTES, Hub
from relay.message import Encoder, Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.position import Position
from relay.subscribers import Group, Subscriber


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload in brackets."""
    return b"[" + message.payload + b"]"


def shouted(message: Message) -> bytes:
    """Encode a message in another wire format."""
    return message.payload.upper() + b"!"


class Listener:
    """A subscriber that keeps what it gets."""

    def __init__(self, number: int, *, echo: bool = False, encoder: Encoder = payload_only) -> None:
        self.id = number.to_bytes(16, "big")
        self.echo = echo
        self.chunks: list[bytes] = []
        self.count = 0
        self.on_delivery: Callable[[], None] = lambda: None
        self._encoder = encoder

    @property
    def encode(self) -> Encoder:
        return self._encoder

    def deliver(self, data: bytes, count: int) -> None:
        self.chunks.append(data)
        self.count += count
        self.on_delivery()

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def say(self, text: str, channel: str = "c") -> Message:
        """Return a message from this subscriber."""
        return Message(channel, text.encode(), origin=self.id)


class Bench:
    """A hub whose flushes are counted and done by hand."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.scheduled = 0
        self.hub = Hub(self.counters, self._schedule)

    def _schedule(self) -> None:
        self.scheduled += 1


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


class Broken(Listener):
    """A subscriber with a fault, which notes what it is told."""

    def __init__(self, number: int, *, echo: bool = False, encoder: Encoder = payload_only) -> None:
        super().__init__(number, echo=echo, encoder=encoder)
        self.told: list[tuple[str, Position | None]] = []

    def deliver(self, data: bytes, count: int) -> None:
        raise ZeroDivisionError

    def missed(self, channel: str, position: Position | None) -> None:
        self.told.append((channel, position))
        raise ZeroDivisionError


def broken(message: Message) -> bytes:
    """Fail to encode a message."""
    raise ZeroDivisionError


def test_a_fault_in_one_subscriber_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench, culprit, sender = Bench(), Broken(2), Broken(4)
    others = {name: Listener(number) for number, name in enumerate("cdcc", 10) for name in [f"{name}{number}"]}
    bench.hub.add("c", others["c10"])
    bench.hub.add("c", culprit)
    bench.hub.add("c", sender)
    for name, listener in others.items():
        bench.hub.add(name[0], listener)
    position = Position("e", 7)
    bench.hub.receive(sender.say("1"))
    bench.hub.receive(PositionedMessage("c", b"2", position=position))
    bench.hub.receive(Message("d", b"3"))
    bench.hub.flush()
    assert {name: one.chunks for name, one in others.items()} == {
        name: [b"[1][2]"] if name[0] == "c" else [b"[3]"] for name in others
    }
    assert culprit.told == sender.told == [("c", position)]
    assert "messages not delivered" in caplog.text
    bench.hub.receive(Message("c", b"4"))
    bench.hub.flush()
    assert others["c13"].chunks[-1] == b"[4]"
    assert (culprit.told[-1], bench.scheduled) == (("c", None), 2)


def test_a_fault_in_an_encoder_costs_the_others_nothing() -> None:
    bench, whole = Bench(), Listener(3)
    culprits = [Broken(1, encoder=broken), Broken(2, encoder=broken)]
    for one in (*culprits, whole):
        bench.hub.add("c", one)
    bench.hub.receive(Message("c", b"1"))
    bench.hub.flush()
    assert whole.chunks == [b"[1]"]
    assert [one.told for one in culprits] == [[("c", None)]] * 2


def test_a_fault_in_a_gatherer_leaves_the_others_for_the_next_flush() -> None:
    bench, written = Bench(), []

    class Gatherer:
        def write_gathered(self) -> None:
            written.append(self)
            if self is bad:
                raise ZeroDivisionError

    good, bad = Gatherer(), Gatherer()
    bench.hub.gather(good)
    bench.hub.gather(bad)
    with pytest.raises(ZeroDivisionError):
        bench.hub.flush()
    assert bench.scheduled == 2
    bench.hub.flush()
    assert written == [bad, good]


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


class Gathering(Listener):
    """A subscriber that keeps what it gets until the end of a flush."""

    def __init__(self, number: int, hub: Hub) -> None:
        super().__init__(number)
        self._hub = hub
        self.on_write: Callable[[], None] = lambda: None
        self.writes: list[bytes] = []

    def deliver(self, data: bytes, count: int) -> None:
        if not self.chunks:
            self._hub.gather(self)
        super().deliver(data, count)

    def write_gathered(self) -> None:
        self.writes.append(b"".join(self.chunks))
        self.chunks.clear()
        self.on_write()


def test_a_subscriber_of_ten_channels_writes_once_a_flush() -> None:
    bench = Bench()
    gathering, other = Gathering(1, bench.hub), Listener(2)
    for number in range(10):
        bench.hub.add(f"c{number}", gathering)
    bench.hub.add("c9", other)
    for _ in range(2):
        for number in range(10):
            bench.hub.receive(Message(f"c{number}", b"%d" % number))
        assert not other.chunks
        bench.hub.flush()
        assert gathering.writes.pop() == b"[0][1][2][3][4][5][6][7][8][9]"
        assert other.chunks.pop() == b"[9]"
    assert (gathering.writes, bench.scheduled) == ([], 2)


def test_what_is_gathered_outside_a_flush_is_written_by_the_next_one() -> None:
    """A large batch is delivered at once."""
    bench = Bench()
    gathering = Gathering(1, bench.hub)
    bench.hub.gather(gathering)
    bench.hub.gather(Gathering(2, bench.hub))
    assert (bench.scheduled, gathering.writes) == (1, [])
    bench.hub.flush()
    assert gathering.writes == [b""]


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


def test_a_subscriber_of_several_channels_writes_once_at_the_end_of_a_flush() -> None:
    bench = Bench()
    gathering, listener = Gathering(1, bench.hub), Listener(2)
    for name in "abc":
        bench.hub.add(name, gathering)
        bench.hub.add(name, listener)
        bench.hub.receive(Message(name, name.encode()))
    assert bench.scheduled == 1
    bench.hub.flush()
    assert gathering.writes == [b"[a][b][c]"]
    assert listener.chunks == [b"[a]", b"[b]", b"[c]"]
    assert bench.scheduled == 1
    bench.hub.flush()
    assert len(gathering.writes) == 1


def test_gathering_outside_a_flush_asks_for_one() -> None:
    bench = Bench()
    gathering = Gathering(1, bench.hub)
    gathering.deliver(b"answer", 0)
    gathering.deliver(b"another", 0)
    assert bench.scheduled == 1
    bench.hub.flush()
    assert gathering.writes == [b"answeranother"]


def test_what_comes_during_a_flush_is_flushed_by_another_one() -> None:
    """Also what a gathering subscriber brings about when it writes, at the end of it."""
    bench = Bench()
    gathering, listener = Gathering(1, bench.hub), Listener(2)
    bench.hub.add("a", gathering)
    bench.hub.add("b", listener)
    gathering.on_write = lambda: bench.hub.receive(Message("b", b"late"))
    bench.hub.receive(Message("a", b"x"))
    bench.hub.flush()
    assert listener.chunks == []
    assert bench.scheduled == 2
    bench.hub.flush()
    assert listener.chunks == [b"[late]"]
    assert bench.scheduled == 2
    bench.hub.receive(Message("b", b"next"))
    assert bench.scheduled == 3


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
