"""The probe, step by step."""

from __future__ import annotations

import hiredis

from relay.brokers.redis.probe import Probe

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
