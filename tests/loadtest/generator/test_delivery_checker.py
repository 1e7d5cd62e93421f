"""Every message is accounted for: received once and in order, or it counts as exactly what happened to it."""

from __future__ import annotations

from array import array

import pytest

from relay.loadtest.generator import delivery_checker as module
from relay.loadtest.generator.delivery_checker import MAX_INCIDENTS, UNKNOWN, DeliveryChecker, Receiver
from relay.loadtest.result.faults import Fault, Faults, Incident

URL = "ws://127.0.0.1:1"
NAMES = ("lost", "duplicated", "reordered", "foreign", "unexpected", "missed", "told")


def record(count: int) -> array[int]:
    """Return when a publisher sent its messages: message n at n * 10."""
    return array("q", range(0, 10 * count, 10))


def receiver(*publishers: int, joined: int = 0) -> Receiver:
    """Return a client that is there, and is to hear some publishers."""
    made = Receiver(7, URL, "room", list(publishers))
    made.join(joined)
    return made


def receive(checker: DeliveryChecker, who: Receiver, publisher: int, *runs: tuple[int, int], moment: int = 0) -> None:
    """Do with runs what a client does with those that it reads."""
    for first, last in runs:
        if who.expected.get(publisher) == first:
            who.expected[publisher] = last + 1
        else:
            checker.receive(who, publisher, first, last, moment)


def finish(checker: DeliveryChecker, who: Receiver, *totals: int) -> Faults:
    """Return the final faults of a run in which publisher n has sent `totals[n]` messages."""
    records = {publisher: record(total) for publisher, total in enumerate(totals)}
    return checker.finish([who], dict(enumerate(totals)), records, 10**12)


def counts(faults: Faults) -> dict[str, int]:
    """Return all counts that aren't 0."""
    return {name: getattr(faults, name) for name in NAMES if getattr(faults, name)}


def heard(*runs: tuple[int, int], total: int) -> Faults:
    """Return the faults of one client that was there all the time and heard some runs of one publisher."""
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, *runs)
    return finish(checker, who, total)


def test_what_all_came_once_and_in_order_is_no_fault() -> None:
    assert counts(heard((0, 4), (5, 9), total=10)) == {}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(2, 9)], {"lost": 2}),
        ([(0, 3), (6, 9)], {"lost": 2}),
        ([(0, 7)], {"lost": 2}),
        ([], {"lost": 10}),
        ([(0, 9), (9, 9)], {"duplicated": 1}),
        ([(0, 9), (0, 9)], {"duplicated": 10}),
        ([(0, 5), (4, 9)], {"duplicated": 2}),
        ([(0, 3), (5, 5), (4, 4), (6, 9)], {"reordered": 1}),
        ([(5, 9), (0, 4)], {"reordered": 5}),
        ([(0, 3), (5, 5), (4, 4), (4, 4), (6, 9)], {"reordered": 1, "duplicated": 1}),
        ([(0, 1), (8, 9), (3, 5)], {"reordered": 3, "lost": 3}),
        ([(1, 1), (0, 1), (3, 9)], {"reordered": 1, "duplicated": 1, "lost": 1}),
    ],
)
def test_each_message_counts_as_what_happened_to_it(runs: list[tuple[int, int]], expected: dict[str, int]) -> None:
    assert counts(heard(*runs, total=10)) == expected


def test_incidents_say_who_where_when_and_what() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 3))
    receive(checker, who, 0, (6, 7), moment=1_500_000_000)
    receive(checker, who, 0, (7, 7), moment=1_600_000_000)
    twice, skipped = finish(checker, who, 8).incidents
    assert twice == Incident(
        fault=Fault.DUPLICATED, moment=1.6, client=7, url=URL, channel="room", publisher=0, first=7, last=7
    )
    assert skipped == Incident(
        fault=Fault.LOST, moment=1.5, client=7, url=URL, channel="room", publisher=0, first=4, last=5, text="skipped"
    )


def test_a_tail_that_never_came_is_shown_at_the_moment_of_judgement() -> None:
    (incident,) = heard((0, 3), total=10).incidents
    assert (incident.first, incident.last, incident.text, incident.moment) == (4, 9, "never came", 1000.0)


def test_only_the_first_incidents_of_each_kind_are_kept() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    for sequence in range(0, 100, 2):
        receive(checker, who, 0, (sequence, sequence), (sequence, sequence), moment=sequence)
    faults = finish(checker, who, 99)
    assert counts(faults) == {"lost": 49, "duplicated": 50}
    for fault in (Fault.LOST, Fault.DUPLICATED):
        shown = [incident for incident in faults.incidents if incident.fault is fault]
        assert len(shown) == MAX_INCIDENTS
        assert shown == sorted(shown, key=lambda incident: incident.moment)
        assert shown[-1].moment < 1e-7


def test_a_skip_of_which_a_part_comes_late_is_shown_without_it() -> None:
    (incident,) = (
        incident for incident in heard((0, 1), (9, 9), (2, 3), total=10).incidents if incident.fault is Fault.LOST
    )
    assert (incident.first, incident.last) == (4, 8)


def test_a_publisher_of_elsewhere_is_foreign_and_changes_nothing() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 1, (0, 4))
    receive(checker, who, 0, (0, 9))
    faults = finish(checker, who, 10, 5)
    assert counts(faults) == {"foreign": 5}
    (incident,) = faults.incidents
    assert (incident.publisher, incident.first, incident.last) == (1, 0, 4)
    assert incident.text == "not meant for this client"


def test_what_is_missing_now_is_known_before_the_end() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 1), (5, 5))
    assert checker.missing == 3
    receive(checker, who, 0, (3, 3))
    assert (checker.missing, checker.faults.lost) == (2, 0)


def test_more_missing_messages_than_can_be_remembered_are_lost_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes late after all counts as a duplicate then."""
    monkeypatch.setattr(module, "MAX_MISSING", 5)
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (5, 5))
    assert (checker.missing, checker.faults.lost) == (5, 0)
    receive(checker, who, 0, (8, 8))
    assert (checker.missing, checker.faults.lost) == (7, 2)
    receive(checker, who, 0, (7, 7), (4, 4), (9, 9))
    assert counts(finish(checker, who, 10)) == {"lost": 6, "duplicated": 1, "reordered": 1}


def test_skips_past_a_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SKIPS", 2)
    faults = heard((1, 1), (3, 3), (5, 5), (7, 7), total=8)
    assert (faults.lost, len(faults.incidents)) == (4, 2)


def absent(*after: tuple[int, int], joined: int, before: tuple[int, int] = (0, 3), total: int = 20) -> Faults:
    """Return the faults of a client that heard something, left, and came back; message n is sent at n * 10."""
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, before)
    who.leave()
    who.join(joined)
    receive(checker, who, 0, *after, moment=joined)
    return finish(checker, who, total)


@pytest.mark.parametrize(
    ("joined", "after", "expected"),
    [
        (100, [(10, 19)], {"missed": 6}),
        (101, [(11, 19)], {"missed": 7}),
        (100, [(12, 19)], {"missed": 6, "lost": 2}),
        (100, [(8, 19)], {"missed": 4}),
        (100, [(12, 12), (11, 11), (13, 19)], {"missed": 6, "lost": 1, "reordered": 1}),
        (100, [(12, 12), (11, 11), (11, 11), (13, 19)], {"missed": 6, "lost": 1, "reordered": 1, "duplicated": 1}),
        (100, [(10, 10), (9, 9), (11, 19)], {"missed": 5, "reordered": 1}),
        (100, [(2, 19)], {"duplicated": 2}),
        (100, [(2, 3), (12, 19)], {"duplicated": 2, "missed": 6, "lost": 2}),
        (100, [(2, 3)], {"duplicated": 2, "missed": 6, "lost": 10}),
        (100, [(10, 12), (15, 19)], {"missed": 6, "lost": 2}),
        (100, [(10, 15)], {"missed": 6, "lost": 4}),
        (100, [], {"missed": 6, "lost": 10}),
        (200, [], {"missed": 16}),
        (20, [(4, 19)], {}),
        (20, [(5, 19)], {"lost": 1}),
    ],
)
def test_what_was_sent_in_an_absence_is_missed_and_what_came_after_it_is_expected(
    joined: int, after: list[tuple[int, int]], expected: dict[str, int]
) -> None:
    """The client left with message 3 and came back at a moment; messages are sent 10 ns apart."""
    assert counts(absent(*after, joined=joined)) == expected


def test_who_has_left_for_good_misses_the_rest() -> None:
    checker, who = DeliveryChecker(), receiver(0, 1)
    receive(checker, who, 0, (0, 3))
    who.leave()
    who.leave()
    assert (who.expected, who.away) == ({0: UNKNOWN, 1: UNKNOWN}, True)
    assert counts(finish(checker, who, 10, 5)) == {"missed": 11}


def test_who_was_never_there_misses_everything() -> None:
    assert counts(finish(DeliveryChecker(), Receiver(0, URL, "room", [0]), 10)) == {"missed": 10}


def test_who_comes_late_for_the_first_time_misses_what_came_before() -> None:
    checker, who = DeliveryChecker(), Receiver(0, URL, "room", [0])
    who.leave()
    who.join(50)
    receive(checker, who, 0, (6, 9))
    assert counts(finish(checker, who, 10)) == {"missed": 5, "lost": 1}


def test_who_leaves_twice_without_hearing_anything_between_is_judged_by_the_last_return() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 3))
    for joined in (60, 100):
        who.leave()
        who.join(joined)
    receive(checker, who, 0, (11, 19))
    assert counts(finish(checker, who, 20)) == {"missed": 6, "lost": 1}


def test_what_a_former_session_lacked_may_still_come_in_a_later_one() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 3), (6, 6))
    who.leave()
    who.join(70)
    receive(checker, who, 0, (4, 4), (7, 9))
    assert counts(finish(checker, who, 10)) == {"lost": 1, "reordered": 1}


def test_a_message_before_the_frame_that_says_that_a_client_is_back_is_judged_by_its_own_moment() -> None:
    """Both come in one chunk."""
    checker, who = DeliveryChecker(), receiver(0, joined=5)
    receive(checker, who, 0, (0, 3))
    who.leave()
    receive(checker, who, 0, (8, 9), moment=100)
    who.join(100)
    receive(checker, who, 0, (10, 19))
    assert counts(finish(checker, who, 20)) == {"missed": 4}


def test_of_who_has_stopped_hearing_on_purpose_nothing_is_expected() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    receive(checker, who, 0, (0, 3))
    who.exempt = True
    assert not checker.outstanding([who], {0: 10}, {0: 90})
    assert counts(finish(checker, who, 10)) == {}


def test_something_is_outstanding_as_long_as_it_can_come() -> None:
    checker, who, gone = DeliveryChecker(), receiver(0), Receiver(8, URL, "room", [0])
    sent, last = {0: 10}, {0: 90}
    assert not checker.outstanding([gone], sent, last)
    assert checker.outstanding([gone, who], sent, last)
    receive(checker, who, 0, (0, 3), (5, 9))
    assert checker.outstanding([who], sent, last)
    receive(checker, who, 0, (4, 4))
    assert not checker.outstanding([who], sent, last)


@pytest.mark.parametrize(("joined", "outstanding"), [(80, True), (90, True), (91, False)])
def test_who_has_come_back_waits_only_for_what_was_sent_since(joined: int, outstanding: bool) -> None:
    checker, who = DeliveryChecker(), receiver(0)
    who.leave()
    who.join(joined)
    assert checker.outstanding([who], {0: 10}, {0: 90}) is outstanding


def test_who_has_come_back_waits_for_nothing_of_a_publisher_that_sent_nothing() -> None:
    checker, who = DeliveryChecker(), receiver(0)
    who.leave()
    who.join(50)
    assert not checker.outstanding([who], {0: 0}, {})
