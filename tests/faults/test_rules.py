"""What keeps the promises, and what breaks which of them, in small histories."""

from __future__ import annotations

import pytest

from tests.faults.judge import Rule
from tests.faults.judge.misses import TOLD_SECONDS
from tests.faults.operations import Keeps, Kind
from tests.faults.script import GAP_SECONDS, Script


def test_a_session_that_gets_all_is_right() -> None:
    verdict = Script().hears("a").published("1", "2").gets("a", "1", "2").finished()
    assert verdict.findings == []
    assert verdict.counts.deliveries == 2


def test_nothing_is_owed_that_may_have_come_before_the_session() -> None:
    script = Script().publishes("1").hears("a").acknowledged("1").published("2").gets("a", "2")
    assert not script.finished().findings


def test_what_a_session_lacks_and_nothing_came_behind_is_lost_only_when_the_run_is_over() -> None:
    script = Script().hears("a").published("1", "2").gets("a", "1")
    assert not script.judged().findings
    assert script.finished().broken == {Rule.ONCE}
    assert not script.ends("a").hears("a2").finished().findings


def test_what_was_never_acknowledged_and_came_to_nobody_is_not_owed() -> None:
    assert not Script().hears("a").publishes("1").published("2").gets("a", "2").finished().findings


def test_what_was_never_acknowledged_and_came_to_somebody_is_owed_to_all() -> None:
    script = Script().hears("a").hears("b").publishes("1").gets("b", "1").published("2").gets("b", "2")
    assert script.gets("a", "2").judged().broken == {Rule.TOLD}


def test_a_session_is_told_before_it_sees_a_later_message() -> None:
    def script() -> Script:
        return Script().hears("a").published("1", "2")

    assert script().gets("a", "2").judged().broken == {Rule.TOLD}
    assert script().gets("a", "2").told("a").judged().broken == {Rule.TOLD}
    assert not script().told("a").gets("a", "2").finished().findings
    assert script().told("a").gets("a", "2").finished().counts.missed_told == 0  # nobody knows that it lacks one


def test_what_is_missed_and_told_is_counted() -> None:
    script = Script().hears("a").published("0").gets("a", "0").published("1", "2").told("a").gets("a", "2")
    assert script.finished().counts.missed_told == 1


def test_an_answer_to_a_poll_tells_of_what_is_missing_among_its_messages() -> None:
    """By a word before each of them."""
    script = Script().hears("a", "polls").published("1", "2", "3")
    assert not script.told("a").gets("a", "1").told("a").gets("a", "3").finished().findings


def test_what_another_session_got_in_between_is_behind_and_before() -> None:
    """All three are on their way at once, so their times prove nothing."""
    script = Script().hears("a").hears("b").publishes("1", "2", "3").gets("b", "1", "2", "3")
    assert script.gets("a", "1", "3").judged().broken == {Rule.TOLD}
    script = Script().hears("a").publishes("1", "2").hears("b").gets("a", "1", "2")
    assert not script.gets("b", "2").finished().findings


@pytest.mark.parametrize(
    ("seconds", "findings"),
    [(1, 0), (GAP_SECONDS, 0), (GAP_SECONDS + TOLD_SECONDS + 1, 1)],
)
def test_a_plain_websocket_is_told_by_its_close_within_a_time(seconds: float, findings: int) -> None:
    script = Script().hears("w", "websocket").published("1", "2").gets("w", "2")
    script.wait(seconds).ends("w", 1012).hears("w2", "websocket")
    assert len(script.finished().findings) == findings
    assert script.finished().broken <= {Rule.TOLD}


def test_the_time_of_faults_does_not_count_for_a_plain_websocket() -> None:
    script = Script().hears("w", "websocket").published("1", "2").gets("w", "2")
    late = GAP_SECONDS + TOLD_SECONDS + 10
    script.fault(script.now, script.now + 20).wait(late).ends("w", 1012).hears("w2", "websocket")
    assert not script.finished().findings


@pytest.mark.parametrize(("gateway", "findings"), [(1, 1), (0, 0), (None, 0)])
def test_the_time_of_faults_of_other_gateways_counts(gateway: int | None, findings: int) -> None:
    script = Script().hears("w", "websocket").published("1", "2").gets("w", "2")
    script.fault(script.now, script.now + 20, gateway=gateway).wait(GAP_SECONDS + TOLD_SECONDS + 10)
    assert len(script.ends("w", 1012).hears("w2", "websocket").finished().findings) == findings


def test_a_plain_websocket_that_is_never_closed_breaks_a_rule_unless_it_is_to_be_kept() -> None:
    def script(kept: Script) -> Script:
        return kept.hears("w", "websocket").published("1", "2").gets("w", "2")

    assert not script(Script()).judged().findings
    assert script(Script()).finished().broken == {Rule.TOLD}
    kept = script(Script(on_gap="keep")).finished()
    assert kept.findings == []
    assert (kept.counts.missed_kept, kept.counts.missed_untold) == (1, 0)


def test_a_centrifuge_client_is_told_by_the_end_of_its_subscription() -> None:
    def script() -> Script:
        return Script("history").hears("a1", "centrifuge", position="E:0").publishes("1", "2").acknowledged("1", "E:1")

    told = script().ends("a1", 2500).hears("a2", "centrifuge", "E:0", "E:1", recovered=False).gets("a2", "2@E:2")
    assert told.finished().findings == []
    assert told.finished().counts.told == {"history": 2}
    assert script().gets("a1", "2@E:2").ends("a1", 2500).judged().broken == {Rule.TOLD}
    falsely = script().ends("a1", 2500).hears("a2", "centrifuge", "E:0", "E:1").gets("a2", "2@E:2")
    assert falsely.judged().broken == {Rule.ONCE}


@pytest.mark.parametrize(("speechless", "findings"), [(True, 0), (False, 1)])
def test_a_channel_that_comes_with_a_connection_is_told_by_the_end_of_that(speechless: bool, findings: int) -> None:
    script = Script().hears("a1", "centrifuge", speechless=speechless).published("1", "2").gets("a1", "2")
    script.wait(GAP_SECONDS - 10).ends("a1", 3010).hears("a2", "centrifuge", speechless=speechless)
    assert len(script.finished().findings) == findings


def test_a_message_that_comes_twice_breaks_the_rule_of_its_acknowledgement() -> None:
    assert Script().hears("a").published("1").gets("a", "1", "1").judged().broken == {Rule.ONCE}
    assert Script().hears("a").publishes("1").gets("a", "1", "1").judged().broken == {Rule.TRUTH}


def test_a_poll_that_begins_anew_without_a_history_may_get_again_what_it_got() -> None:
    def script(kind: Kind, keeps: Keeps = "plain") -> Script:
        return Script(keeps).hears("a", kind).published("1").gets("a", "1").told("a").gets("a", "1")

    assert not script("polls").finished().findings
    assert script("events").finished().broken == script("polls", "history").finished().broken == {Rule.ONCE}


def test_while_a_run_goes_on_nothing_is_lost_of_which_it_is_not_proved_that_it_is_earlier() -> None:
    """Both are on their way at once, and the second may have been published first."""
    script = Script().hears("a").publishes("1", "2").acknowledged("1").gets("a", "2")
    assert not script.judged().findings
    assert script.finished().broken == {Rule.ONCE}


def test_a_new_session_may_get_again_what_the_one_before_had() -> None:
    script = Script("history").hears("a1").published("1").gets("a1", "1").ends("a1").hears("a2").gets("a2", "1")
    assert not script.finished().findings


def test_a_session_that_goes_on_gets_what_is_behind_its_position() -> None:
    def script() -> Script:
        begun = Script("history").hears("a1", position="E:0").publishes("1", "2", "3")
        begun.acknowledged("1", "E:1").acknowledged("2", "E:2").acknowledged("3", "E:3")
        return begun.gets("a1", "1@E:1").ends("a1").hears("a2", since="E:1")

    assert not script().gets("a2", "2@E:2", "3@E:3").finished().findings
    assert not script().gets("a2", "2@E:2").ends("a2").hears("a3").finished().findings
    assert script().gets("a2", "3@E:3").judged().broken == {Rule.ONCE}
    assert script().gets("a2", "1@E:1", "2@E:2", "3@E:3").finished().broken == {Rule.ONCE}
    assert script().finished().broken == {Rule.ONCE}
    assert not script().told("a2", "E:3").finished().findings


def test_who_sees_another_epoch_must_have_been_told() -> None:
    def script() -> Script:
        return Script("history").hears("a", position="E:0").publishes("1", "2").gets("a", "1@E:1")

    assert script().gets("a", "2@F:1").judged().broken == {Rule.TOLD}
    assert not script().told("a", "F:0").gets("a", "2@F:1").finished().findings
    resumed = Script("history").publishes("1").hears("a", since="E:5").gets("a", "1@F:1")
    assert resumed.judged().broken == {Rule.TOLD}


def test_what_was_lost_with_an_epoch_is_told_with_the_next_one() -> None:
    """What is left of the epoch comes behind that word, as `1` does; and no session was told the position of `2`."""
    script = Script("history").hears("a", position="E:0").hears("b", "websocket")
    for message in ("1", "2", "3"):
        script.published(message).gets("b", message)
    script.told("a", "F:0").gets("a", "1@F:1", "3@F:2")
    assert not script.judged().findings


def test_two_sessions_agree_on_the_order() -> None:
    script = Script().hears("a").hears("b").publishes("1", "2").gets("a", "1", "2").gets("b", "2", "1")
    verdict = script.judged()
    assert verdict.broken == {Rule.ORDER}
    assert set(verdict.findings[0].proof) == {5, 6, 7, 8}


def test_three_sessions_may_not_run_in_a_circle() -> None:
    script = Script().publishes("1", "2", "3").hears("a").hears("b").hears("c")
    script.gets("a", "1", "2").gets("b", "2", "3").gets("c", "3", "1")
    assert Rule.ORDER in script.judged().broken


def test_a_message_does_not_come_before_one_that_was_acknowledged_when_it_was_published() -> None:
    script = Script().hears("a").publishes("1").acknowledged("1").publishes("2").gets("a", "2", "1")
    assert Rule.ORDER in script.judged().broken


def test_what_is_missing_before_the_order_is_broken_is_found_too() -> None:
    script = Script().hears("a").hears("b").published("1", "2").gets("a", "2").publishes("3", "4")
    script.gets("a", "3", "4").gets("b", "4", "3")
    assert script.judged().broken == {Rule.TOLD, Rule.ORDER}


def test_a_position_is_of_one_message() -> None:
    script = Script("positions").hears("a").publishes("1", "2").acknowledged("1", "E:1")
    assert script.acknowledged("2", "E:1").judged().broken == {Rule.ORDER}
    script = Script("positions").hears("a").publishes("1").acknowledged("1", "E:1").gets("a", "1@E:2")
    assert Rule.ORDER in script.judged().broken


def test_a_message_may_have_its_offset_in_another_epoch_too() -> None:
    """A history that was kept goes on in a new epoch."""

    def script() -> Script:
        begun = Script("history").hears("a", position="E:0").publishes("1", "2").acknowledged("1", "E:1")
        return begun.acknowledged("2", "E:2").told("a", "F:0")

    assert not script().gets("a", "1@F:1", "2@F:2").finished().findings
    assert Rule.ORDER in script().gets("a", "1@F:2").judged().broken
    lost_with_its_epoch = script().publishes("3").gets("a", "1@F:1", "3@F:2").acknowledged("3", "F:2")
    assert not lost_with_its_epoch.finished().findings


def test_a_position_that_names_too_late_a_message_loses_what_lies_between() -> None:
    script = Script("history").hears("a1", position="E:0").publishes("1", "2", "3").gets("a1", "1@E:1").ends("a1")
    script.acknowledged("1", "E:1").acknowledged("2", "E:2").acknowledged("3", "E:3")
    assert script.hears("a2", since="E:2").gets("a2", "3@E:3").judged().broken == {Rule.ONCE}


def test_an_offset_that_is_nobodys_is_not_passed_over() -> None:
    script = Script("positions").hears("a").publishes("1", "2").gets("a", "1@E:1", "2@E:3")
    assert script.judged().broken == {Rule.ORDER}
    script = Script("positions").hears("a", position="E:0").publishes("1").gets("a", "1@E:2")
    assert script.judged().broken == {Rule.ORDER}
    script = Script("positions").hears("a", position="E:0").publishes("1").told("a", "E:1").gets("a", "1@E:2")
    assert not script.finished().findings


def test_what_is_sent_again_may_come_twice_only_if_redis_may_have_forgotten_it() -> None:
    def script(*, forgets: bool) -> Script:
        begun = Script().hears("a").publishes("1", keyed=True).gets("a", "1").fault(3.0, 4.0, forgets=forgets)
        return begun.gets("a", "1").acknowledged("1")

    assert not script(forgets=True).finished().findings
    assert script(forgets=False).finished().broken == {Rule.ONCE}


def test_nothing_comes_that_was_not_published() -> None:
    assert Script().hears("a").gets("a", "1").judged().broken == {Rule.TRUTH}
    assert Script().hears("a").publishes("1").gets("a", "1", digest="other").judged().broken == {Rule.TRUTH}
    assert Script().hears("a").publishes("1", channel="d").gets("a", "1").judged().broken == {Rule.TRUTH}
    assert Script().hears("a").publishes("1").refused("1").gets("a", "1").judged().broken == {Rule.TRUTH}


def test_a_message_of_unknown_fate_may_come_late() -> None:
    script = Script().hears("a").publishes("1").published("2").gets("a", "2").gets("a", "1")
    assert not script.finished().findings


def test_a_record_that_contradicts_itself_is_void() -> None:
    assert any("goes on" in reason for reason in Script().gets("a", "1").finished().void)
    assert any("twice" in reason for reason in Script().publishes("1", "1").finished().void)
    assert any("too many" in reason for reason in Script().published("1").refused("1").finished().void)
    assert any("twice" in reason for reason in Script().hears("a").hears("a").finished().void)


def test_a_run_in_which_too_little_happens_is_void() -> None:
    verdict = Script("history").hears("a").published("1").gets("a", "1").judged()
    assert not verdict
    assert not verdict.findings
    assert len(verdict.void) == 7
