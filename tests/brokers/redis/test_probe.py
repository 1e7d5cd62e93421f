"""The probe, step by step."""

from __future__ import annotations

import hiredis
import pytest

from relay.brokers.redis import probe as module
from relay.brokers.redis.probe import TRANSITIONS, Event, Probe, State

LINKS = ("publications", "subscriptions")


def test_a_probe_that_is_heard_says_that_all_is_well_and_since_when() -> None:
    probe = Probe()
    assert probe.problem == "bus not probed yet"
    number = probe.send(10.0, LINKS)
    assert probe.answered(number, 1, 10.1) is None
    assert probe.heard(b"%d" % number) == 10.0
    assert (probe.sent_at, probe.heard_until) == (None, 10.0)
    assert not probe.problem
    assert probe.heard(b"%d" % number) is None, "heard twice"


def test_only_the_probe_that_is_under_way_counts() -> None:
    probe = Probe()
    old = probe.send(10.0, LINKS)
    probe.give_up()
    assert probe.heard(b"%d" % old) is None
    new = probe.send(11.0, LINKS)
    assert probe.heard(b"%d" % old) is None
    assert probe.heard(b"no number") is None
    assert probe.answered(old, hiredis.ReplyError("NOPERM late"), 11.0) is None
    assert not probe.refused
    assert probe.heard(b"%d" % new) == 11.0


def test_a_refusal_is_no_deafness_and_is_told_in_its_own_words() -> None:
    probe = Probe()
    number = probe.send(10.0, LINKS)
    assert probe.answered(number, hiredis.ReplyError("NOPERM no"), 10.1) == "NOPERM no"
    assert probe.problem == "probe refused: NOPERM no"
    assert probe.refused
    assert not probe.is_lost(answered_until=20.0)
    number = probe.send(20.0, LINKS)
    probe.answered(number, 1, 20.1)
    assert not probe.refused


def test_a_probe_is_lost_when_something_is_answered_that_was_asked_after_it_was_executed() -> None:
    probe = Probe()
    assert not probe.is_lost(99.0)
    number = probe.send(10.0, LINKS)
    assert not probe.is_lost(answered_until=11.0), "Redis may not have it yet"
    probe.answered(number, 1, 12.0)
    assert not probe.is_lost(answered_until=11.0), "its answer may be before the probe"
    assert probe.is_lost(answered_until=12.5)
    probe.give_up("lost")
    assert not probe.is_lost(answered_until=12.5)


def test_a_probe_of_an_old_link_is_stale() -> None:
    probe = Probe()
    assert not probe.is_stale(LINKS)
    probe.send(10.0, LINKS)
    assert not probe.is_stale(LINKS)
    assert probe.is_stale(("publications", "other"))


def test_a_reply_that_comes_behind_the_message_says_nothing_new() -> None:
    """They take different links."""
    probe = Probe()
    number = probe.send(10.0, LINKS)
    assert probe.heard(b"%d" % number) == 10.0
    assert probe.answered(number, 1, 10.5) is None
    assert (probe.state, probe.problem) == (State.HEARD, None)
    assert not probe.is_lost(answered_until=11.0)


def test_a_probe_that_is_late_is_a_problem_and_still_ON_ITS_WAY() -> None:
    probe = Probe()
    probe.watch(99.0, 3.0)
    assert probe.problem == "bus not probed yet"
    number = probe.send(10.0, LINKS)
    probe.watch(12.9, 3.0)
    assert probe.problem == "bus not probed yet"
    probe.watch(13.0, 3.0)
    assert probe.problem == "probe not heard for 3 s"
    assert probe.heard(b"%d" % number) == 10.0
    assert not probe.problem


def test_giving_up_keeps_the_problem_unless_there_is_another() -> None:
    probe = Probe()
    probe.give_up()
    assert probe.problem == "bus not probed yet"
    probe.give_up("no link")
    assert probe.problem == "no link"
    assert probe.state is State.IDLE


def test_a_refusal_is_remembered_until_the_next_reply() -> None:
    """So that probes that Redis refuses are not sent more often than others."""
    probe = Probe()
    probe.answered(probe.send(10.0, LINKS), hiredis.ReplyError("NOPERM no"), 10.1)
    number = probe.send(11.0, LINKS)
    assert probe.refused
    probe.answered(number, 1, 11.1)
    assert not probe.refused


def in_state(state: State) -> tuple[Probe, int]:
    """Return a probe that has come so far, and its number."""
    probe = Probe()
    number = 0
    if state is not State.IDLE:
        number = probe.send(10.0, LINKS)
    if state is State.EXECUTED:
        probe.answered(number, 1, 10.1)
    elif state is State.HEARD:
        probe.heard(b"%d" % number)
    elif state is State.REFUSED:
        probe.answered(number, hiredis.ReplyError("NOPERM no"), 10.1)
    assert probe.state is state
    return probe, number


ON_ITS_WAY = (State.SENT, State.EXECUTED)

CASES = [
    (state, event)
    for state in State
    for event in Event
    if not (event is Event.SEND and state in ON_ITS_WAY)  # a probe is sent when the last one is settled
]


@pytest.mark.parametrize(("state", "event"), CASES)
def test_each_event_does_in_each_state_what_the_table_says(state: State, event: Event) -> None:
    probe, number = in_state(state)
    match event:
        case Event.SEND:
            assert probe.send(20.0, LINKS) == number + 1
        case Event.EXECUTED:
            probe.answered(number, 1, 20.0)
        case Event.REFUSED:
            probe.answered(number, hiredis.ReplyError("LOADING"), 20.0)
        case Event.HEARD:
            assert (probe.heard(b"%d" % number) is not None) is (state in ON_ITS_WAY)
        case Event.GIVE_UP:
            probe.give_up()
    assert probe.state is TRANSITIONS.get((state, event), state)
    assert (probe.sent_at is not None) is (probe.state in ON_ITS_WAY)


def test_the_table_in_the_text_is_the_table_of_the_program() -> None:
    written = {}
    for line in (module.__doc__ or "").splitlines():
        state, *cells = line.split() or [""]
        if state in State.__members__:
            for event, cell in zip(Event, cells[-len(Event) :], strict=True):
                if cell != "-":
                    written[State[state], event] = State[cell]
    assert written == TRANSITIONS
