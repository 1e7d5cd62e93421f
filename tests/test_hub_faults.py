"""Faults of subscribers, encoders and gatherers."""

from __future__ import annotations

import pytest

from relay.message import Encoder, Message, PositionedMessage
from relay.position import Position
from tests.hub_bench import Bench, Listener, payload_only


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
