"""Whatever a server does wrong to clients that come back where they were shows exactly; what it tells is no lie."""

from __future__ import annotations

from functools import partial

from tests.harness.faulty_history import (
    DoublingHistory,
    DroppingHistory,
    ForgetfulPublishing,
    RefusingHistory,
    RepeatingHistory,
    ShortHistory,
    SwappingHistory,
    WithoutPositions,
)
from tests.harness.history_server import HistoryServer
from tests.harness.load_test import run_load_test
from tests.honesty.trial import Trial, Tried, against_each, counts

RESUMING = (
    *("--resume", "--workers", "1", "--settle", "0.1s", "--warm-up", "0s", "--duration", "2s", "--drain", "30s"),
    *("--clients", "4", "--publishers", "2", "--rate", "50", "--reconnect-every", "0s"),
)
"""100 messages to two event streams and two clients that poll. The server hangs up on each once."""

TOLD = ("--over", "events", "--reconnect-every", "300ms")
"""Polls come again at once, and may have missed nothing."""

trial = partial(Trial, base=RESUMING)


@against_each(
    both=trial(HistoryServer, ()),
    events=trial(HistoryServer, ("--over", "events")),
    polls=trial(HistoryServer, ("--over", "polls", "--namespace", "chat")),
)
def test_an_honest_server_passes(tried: Tried[HistoryServer]) -> None:
    """All that was published reached everybody once, though everybody was hung up on."""
    result, step, server = tried.result, tried.step, tried.server
    assert (tried.code, counts(tried.faults), result.verdict) == (0, {}, []), tried.outcome.output
    assert (step.offered, server.published.total(), step.expected, result.delivered) == (100, 100, 400, 400)
    assert result.resumption is not None
    assert (result.resumption.resumed, result.resumption.notices) == (4, 0)
    assert len(server.resumed) == 4
    assert sum(tried.faults.returned.values()) == 4
    assert "0 lost, 4 resumed, 0 missed that were told." in tried.outcome.output
    (channel,) = server.published
    assert channel.startswith("chat:") == (result.resumption.events == 0)


@against_each(itself=trial(partial(HistoryServer, hang_up_after=None), ("--reconnect-every", "200ms")))
def test_it_cuts_connections_itself(tried: Tried[HistoryServer]) -> None:
    """Whatever was under way then comes again, and counts once."""
    result = tried.result
    assert (tried.code, counts(tried.faults)) == (0, {}), tried.outcome.output
    assert result.resumption is not None
    assert result.resumption.resumed == tried.faults.returned["cut by the load test"] > 8
    assert result.delivered == 400


@against_each(one=trial(DroppingHistory, ()), three=trial(partial(DroppingHistory, 3), ()))
def test_what_is_left_out_of_a_resumed_session_is_lost(tried: Tried[DroppingHistory]) -> None:
    lost = len(tried.server.faults)
    assert lost == 4 * tried.server.times
    assert (tried.code, counts(tried.faults)) == (1, {"lost": lost}), tried.outcome.output
    assert tried.result.verdict == [f"{lost} deliveries lost"]


@against_each(all_rest=trial(partial(DroppingHistory, 1000), ()))
def test_a_client_that_gets_nothing_any_more_has_lost_the_rest(tried: Tried[DroppingHistory]) -> None:
    """Nothing came after what is missing."""
    assert (tried.code, counts(tried.faults)) == (1, {"lost": len(tried.server.faults)})
    assert len(tried.server.faults) > 200


@against_each(live=trial(DoublingHistory, ()))
def test_what_comes_twice_in_a_resumed_session_is_duplicated(tried: Tried[DoublingHistory]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"duplicated": 4}), tried.outcome.output


@against_each(replay=trial(RepeatingHistory, ("--over", "events")))
def test_a_replay_that_begins_too_early_is_duplicated(tried: Tried[RepeatingHistory]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"duplicated": 4}), tried.outcome.output


@against_each(first=trial(SwappingHistory, ("--publishers", "1")))
def test_what_comes_behind_its_successor_is_reordered(tried: Tried[SwappingHistory]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"reordered": 4}), tried.outcome.output


@against_each(told=trial(partial(ShortHistory, tells=True), TOLD))
def test_what_is_told_is_counted_apart(tried: Tried[ShortHistory]) -> None:
    """It is no fault of the server: it said so. Who wants it to be one has an option."""
    faults, resumption = tried.faults, tried.result.resumption
    assert resumption is not None
    assert (tried.code, counts(faults)) == (0, {"told": faults.told}), tried.outcome.output
    assert faults.told == 400 - tried.result.delivered > 0
    assert 0 < resumption.notices <= tried.server.notices
    assert f"0 lost, {resumption.resumed} resumed, {faults.told} missed that were told." in tried.outcome.output


@against_each(whole=trial(partial(ShortHistory, tells=False), TOLD))
def test_a_hole_that_is_claimed_to_be_none_is_lost(tried: Tried[ShortHistory]) -> None:
    faults = tried.faults
    assert (tried.code, counts(faults)) == (1, {"lost": faults.lost}), tried.outcome.output
    assert faults.lost == 400 - tried.result.delivered > 0


@against_each(limit=trial(partial(ShortHistory, tells=True), (*TOLD, "--fail-if", "told>0")))
def test_told_losses_fail_a_run_that_allows_none(tried: Tried[ShortHistory]) -> None:
    assert tried.code == 1
    assert tried.result.verdict == [f"told was {tried.faults.told}, not to be more than 0"]


@against_each(once=trial(partial(ForgetfulPublishing, 10), ()))
def test_a_message_without_an_answer_is_sent_again_and_counts_once(tried: Tried[ForgetfulPublishing]) -> None:
    assert (tried.code, counts(tried.faults)) == (0, {}), tried.outcome.output
    assert tried.server.unanswered == 10
    assert tried.result.delivered == 400


@against_each(twice=trial(partial(ForgetfulPublishing, 10, doubles=True), ()))
def test_a_server_that_forgets_keys_doubles(tried: Tried[ForgetfulPublishing]) -> None:
    doubles = tried.server.published.total() - 100
    assert doubles >= 10
    assert (tried.code, counts(tried.faults)) == (1, {"duplicated": 4 * doubles}), tried.outcome.output


@against_each(
    for_a_while=trial(partial(RefusingHistory, 503, 3), ()), too_many=trial(partial(RefusingHistory, 429, 3), ())
)
def test_who_is_refused_for_a_while_tries_again(tried: Tried[RefusingHistory]) -> None:
    assert (tried.code, counts(tried.faults), tried.faults.refused) == (0, {}, {}), tried.outcome.output
    assert tried.result.delivered == 400


@against_each(position=trial(partial(RefusingHistory, 400, 1), ()))
def test_a_server_that_refuses_its_own_position_is_found_out(tried: Tried[RefusingHistory]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {}), tried.outcome.output
    assert tried.faults.refused == {"HTTP 400 to a client that came back": 1}


@against_each(ids=trial(WithoutPositions, ("--over", "events")))
def test_events_without_a_position_are_unexpected(tried: Tried[WithoutPositions]) -> None:
    """Nobody could come back to them."""
    assert tried.code == 1
    assert tried.faults.unexpected > 100
    assert tried.faults.incidents[0].text == "an event without a position"


async def test_a_server_that_keeps_nothing_is_told_in_a_sentence_and_counts_no_loss() -> None:
    async with HistoryServer(keeps=False) as server:
        outcome = await run_load_test(server.url, *RESUMING)
        assert (outcome.code, outcome.written) == (1, None)
        assert f"relay: {server.url}: the channel loadtest-" in outcome.errors
        assert "keeps no messages there, so that no client can resume. Give its gateways" in outcome.errors
        assert not server.published


async def test_a_run_in_which_nobody_had_to_come_back_shows_nothing() -> None:
    async with HistoryServer(hang_up_after=None) as server:
        outcome = await run_load_test(server.url, *RESUMING, "--duration", "1s")
    assert outcome.code == 1
    assert outcome.result.verdict == [
        "no client resumed, so nothing is shown: give a shorter --reconnect-every or more --duration"
    ]
