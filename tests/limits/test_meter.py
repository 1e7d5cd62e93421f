"""What one client sends, held against its rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.limits.limit import Limit
from relay.limits.meter import CLOCK_SECONDS, GRANTED_PART, PATIENCE_SECONDS, UNLIMITED, Hold, Meter, SendingRates
from relay.limits.rate import Rate


class Sender:
    """A client that sends as much as its meter lets it, at a time that tests set.

    Attributes:
        now: seconds.
        sent: messages.
        size: bytes.
    """

    def __init__(self, rates: SendingRates) -> None:
        self.now = 1000.0
        self.meter = Meter(rates, self.now)
        self.sent = self.size = 0

    def send(self, messages: int, size: int = 0) -> Hold | None:
        """Send messages of so many bytes each, until the meter holds them back; return how."""
        for _ in range(messages):
            if (self.meter.messages_left <= 0 or self.meter.bytes_left <= 0) and (hold := self.meter.renew(self.now)):
                return hold
            self.meter.messages_left -= 1
            self.meter.bytes_left -= size
            self.sent += 1
            self.size += size
        return None


def test_a_burst_is_let_through_and_then_the_client_is_held_back_until_the_next_message() -> None:
    sender = Sender(SendingRates(Rate(10, 20), None))
    hold = sender.send(1000)
    assert hold is not None
    assert hold == Hold(hold.seconds, Limit.MESSAGES, begins=True, failed=False)
    assert hold.seconds == pytest.approx(0.1)
    assert sender.sent == 20
    sender.now += hold.seconds
    again = sender.send(1000)
    assert again is not None
    assert again == Hold(again.seconds, Limit.MESSAGES, begins=False, failed=False)
    assert sender.sent == 21


def test_bytes_are_held_against_their_own_rate() -> None:
    sender = Sender(SendingRates(Rate(1000, 2000), Rate(1000, 2000)))
    hold = sender.send(1000, 500)
    assert hold is not None
    assert hold.limit is Limit.BYTES
    assert 2000 <= sender.size <= 2000 + 500


def test_the_largest_message_never_waits_for_itself() -> None:
    rates = SendingRates.of(0, 100, 65_536)
    assert rates.bytes is not None
    sender = Sender(rates)
    assert sender.send(1, 65_536) is None
    assert sender.send(1, 1) is not None


def test_what_one_message_takes_too_much_later_ones_lack() -> None:
    sender = Sender(SendingRates(None, Rate(1000, 2000)))
    assert sender.send(1, 12_000) is None
    hold = sender.send(1, 1)
    assert hold is not None
    assert hold.seconds == pytest.approx(10, abs=0.01)


def test_a_client_within_its_rates_is_never_held_back() -> None:
    sender = Sender(SendingRates.of(100, 100_000, 65_536))
    for _ in range(60 * 50):
        assert sender.send(2, 1000) is None
        sender.now += 0.02


def test_without_rates_nothing_is_held_back() -> None:
    sender = Sender(SendingRates.of(0, 0, 65_536))
    assert sender.send(100_000, 65_536) is None


def test_a_client_that_is_held_back_again_and_again_fails_after_a_while() -> None:
    sender = Sender(SendingRates(Rate(10, 20), None))
    began, hold = sender.now, None
    while hold is None or not hold.failed:
        hold = sender.send(1000)
        assert hold is not None
        assert hold.begins is (sender.now == began)
        sender.now += hold.seconds
    assert sender.now - began == pytest.approx(PATIENCE_SECONDS, abs=0.2)


def test_a_client_that_rests_for_half_of_its_burst_begins_anew() -> None:
    sender = Sender(SendingRates(Rate(10, 20), None))
    for _ in range(10):
        hold = sender.send(1000)
        assert hold is not None
        assert hold.begins
        assert not hold.failed
        sender.now += PATIENCE_SECONDS / 5


def test_a_wait_is_no_longer_than_the_patience() -> None:
    """A client with a long debt is closed when its time is over, and not when the debt is."""
    sender = Sender(SendingRates(None, Rate(10, 100)))
    sender.send(1, 100_000)
    hold = sender.send(1, 1)
    assert hold is not None
    assert hold.seconds == PATIENCE_SECONDS
    sender.now += hold.seconds
    last = sender.send(1, 1)
    assert last is not None
    assert last.failed


def test_a_reset_gives_a_whole_burst() -> None:
    sender = Sender(SendingRates(Rate(10, 20), None))
    sender.send(1000)
    sender.meter.reset(sender.now, SendingRates(Rate(10, 30), None))
    sender.send(1000)
    assert sender.sent == 20 + 30
    sender.meter.reset(sender.now, UNLIMITED)
    assert sender.send(1000) is None


@given(
    steps=st.lists(st.tuples(st.integers(1, 50), st.floats(0.0, 2.0)), max_size=100),
    per_second=st.integers(1, 100),
    burst=st.integers(1, 200),
)
def test_never_more_than_rate_burst_and_one_grant(steps: list[tuple[int, float]], per_second: int, burst: int) -> None:
    """Over any time from the beginning; a millisecond's worth more, as no timer is more exact."""
    sender = Sender(SendingRates(Rate(per_second, burst), None))
    began = sender.now
    for messages, pause in steps:
        sender.send(messages)
        grant = max(1, burst / GRANTED_PART)
        most = burst + (sender.now - began + CLOCK_SECONDS) * per_second + grant
        assert sender.sent <= most + 1
        sender.now += pause
