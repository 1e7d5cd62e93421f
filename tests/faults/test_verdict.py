"""The judge of a run: it has to find what is wrong, and nothing else."""

from __future__ import annotations

import pytest

from tests.faults.record import Fate, Gap, Hearing, Record, Sent
from tests.faults.verdict import judge
from tests.harness.history import Label, Payload, labelled


def record_of(*received: int, count: int = 5, answers: list[tuple[float, bool]] | None = None) -> Record:
    """Return a record of messages 0 to `count` - 1, sent at 10, 11, ..., of which one listener got all and one some.

    Args:
        received: numbers of the messages that the second listener got, each without delay.
        count: how many messages were sent.
        answers: of the second listener, when it polls.
    """
    record = Record()
    for number in range(count):
        record.sent[Label("p", number)] = Sent("c", 10.0 + number, labelled("p", number))
    everything = [(sent.payload, sent.at) for sent in record.sent.values()]
    record.hearings.append(Hearing("all", 0, "c", 0.0, received=everything))
    some: list[tuple[Payload, float]] = [(labelled("p", number), 10.0 + number) for number in received]
    record.hearings.append(Hearing("some", 1, "c", 0.0, received=some, answers=answers))
    return record


def lost(record: Record) -> list[int]:
    """Return the numbers of the messages that nothing explains."""
    return [missing.label.number for missing in judge(record).unexplained]


def test_a_run_in_which_everybody_got_everything_is_good() -> None:
    verdict = judge(record_of(0, 1, 2, 3, 4))
    assert verdict
    assert (verdict.deliveries, verdict.explained) == (10, {})


def test_what_did_not_come_is_unexplained() -> None:
    verdict = judge(record_of(0, 1, 3, 4))
    assert not verdict
    assert [(missing.label, missing.hearing.listener) for missing in verdict.unexplained] == [(Label("p", 2), "some")]


@pytest.mark.parametrize(
    ("gap", "unexplained"),
    [
        (Gap(1, 11.9, 12.1, 1), []),
        (Gap(1, 12.5, 13.5, 1), [2]),
        (Gap(1, 10.0, 11.9, 1), [2]),
        (Gap(0, 11.9, 12.1, 1), [2]),
    ],
)
def test_a_gap_of_its_own_gateway_at_its_time_explains_a_message(gap: Gap, unexplained: list[int]) -> None:
    record = record_of(0, 1, 3, 4)
    record.gaps.append(gap)
    assert lost(record) == unexplained


def test_who_came_later_or_had_left_need_not_have_it() -> None:
    record = record_of(2, 3)
    record.hearings[1].began, record.hearings[1].ended = 11.5, 13.5
    verdict = judge(record)
    assert verdict
    assert not verdict.explained


def test_what_came_to_others_just_before_it_left_is_told_by_its_end() -> None:
    record = record_of(0, 1)
    record.hearings[1].ended = 12.5
    verdict = judge(record)
    assert verdict
    assert verdict.explained == {"the listener: its connection ended": 1}
    record.hearings[1].ended = 13.5
    record.hearings[1].received.append((labelled("p", 3), 13.0))
    assert lost(record) == [2]


@pytest.mark.parametrize(
    ("answers", "unexplained"),
    [
        ([(10.0, False), (13.0, True), (14.0, False)], []),
        ([(10.0, False), (13.0, False), (13.5, True), (14.0, False)], []),
        ([(10.0, False), (13.0, False), (14.0, False), (15.0, True)], [2]),
        ([(10.0, True), (13.0, False), (14.0, False)], [2]),
    ],
)
def test_a_polling_client_must_be_told_itself(answers: list[tuple[float, bool]], unexplained: list[int]) -> None:
    record = record_of(0, 1, 3, 4, answers=answers)
    record.gaps.append(Gap(1, 11.0, 13.0, 1))
    assert lost(record) == unexplained


def test_a_message_that_was_not_published_is_told_to_its_publisher() -> None:
    """A gap doesn't tell of it: it is what listeners missed of what was published."""
    record = record_of(0, 1, 2, 3)
    del record.hearings[0].received[4]
    record.gaps += [Gap(0, 14.0, 15.0, 1), Gap(1, 14.0, 15.0, 1)]
    assert lost(record) == [4, 4]
    record.sent[Label("p", 4)].fate = Fate.UNKNOWN
    verdict = judge(record)
    assert verdict
    assert verdict.explained == {"its publisher": 2}


def test_a_message_that_reached_nobody_may_have_been_published() -> None:
    """Then it is not enough that its publisher was told that nobody knows."""
    record = record_of(0, 1, 2, 3)
    del record.hearings[0].received[4]
    record.sent[Label("p", 4)].fate = Fate.UNKNOWN
    record.witnessed[Label("p", 4)] = 14.5
    assert lost(record) == [4, 4]
    record.gaps += [Gap(0, 14.0, 15.0, 1), Gap(1, 14.0, 15.0, 1)]
    assert judge(record).explained == {"the operator: a gap": 2}


def test_what_was_sent_just_before_the_witness_lost_sight_may_have_been_published() -> None:
    record = record_of(0, 1, 2, 3)
    del record.hearings[0].received[4]
    record.blind.append(14.5)
    assert lost(record) == [4, 4]
    record.gaps += [Gap(0, 14.5, 15.0, 1), Gap(1, 14.5, 15.0, 1)]
    assert judge(record)


def test_a_message_that_was_refused_must_reach_nobody() -> None:
    record = record_of(0, 1, 2, 3, 4)
    record.sent[Label("p", 2)].fate = Fate.REFUSED
    assert judge(record).untrue == [Label("p", 2)]


def test_a_message_that_failed_must_not_be_overtaken() -> None:
    record = record_of(0, 1, 3, 4)
    del record.hearings[0].received[2]
    record.sent[Label("p", 2)].fate = Fate.UNKNOWN
    assert judge(record).overtaken == [Label("p", 2)]
    record.witnessed[Label("p", 2)] = 12.0
    assert not judge(record).overtaken


@pytest.mark.parametrize(
    ("received", "words"),
    [
        ((0, 1, 2, 2, 3, 4), "some: 1 duplicated"),
        ((0, 2, 1, 3, 4), "some: 1 reordered"),
        ((0, 1, 2, 3, 4, 7), "some: 1 unknown"),
    ],
)
def test_doubled_reordered_and_unknown_messages_are_found(received: tuple[int, ...], words: str) -> None:
    verdict = judge(record_of(*received))
    assert not verdict
    assert any(words in line for line in verdict.wrong)


def test_an_order_that_others_did_not_see_is_found() -> None:
    record = record_of(0, 1, 2, 3, 4)
    record.sent[Label("q", 0)] = Sent("c", 10.0, labelled("q", 0))
    record.hearings[0].received.insert(0, (labelled("q", 0), 10.0))
    record.hearings[1].received.append((labelled("q", 0), 10.0))
    assert any("disagree" in line for line in judge(record).wrong)


def test_altered_messages_are_found() -> None:
    record = record_of(0, 1, 2, 3, 4)
    record.hearings[1].received[2] = (labelled("p", 2, 50), 12.0)
    assert any("got 'p|2|" in line for line in judge(record).wrong)
    record = record_of(0, 1, 2, 3, 4)
    record.sent[Label("p", 2)].channel = "another"
    assert len(judge(record).wrong) >= 2
