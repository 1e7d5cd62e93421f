"""Clients that resume: how they come, and what they do when they are hung up on or cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.loadtest.generator import backoff
from relay.loadtest.generator.commands import Assignment
from relay.loadtest.generator.resuming_group import ResumingGroup
from relay.loadtest.plan.plan import Dialect, Hears, Over, Plan
from relay.loadtest.plan.server_address import resolve
from relay.loadtest.result.faults import Faults
from tests.harness.conditions import wait_until
from tests.harness.faulty_history import ForgetfulPublishing, RefusingHistory, ShortHistory, WithoutPositions
from tests.harness.free_port import free_port
from tests.harness.history_server import HistoryServer

RUN = 0xAB


class RefusingPublishing(HistoryServer):
    """Lets nobody publish.

    Attributes:
        refused: how many messages.
    """

    publish_status = 403
    refused = 0

    def known(self, key: str) -> bool:
        """See `HistoryServer`."""
        self.refused += 1
        return True


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back soon."""
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)


@asynccontextmanager
async def group_of(*urls: str, **given: object) -> AsyncIterator[ResumingGroup]:
    """Make the group of the only worker of a plan, and begin to connect it."""
    fields = {"clients": 4, "publishers": 2, "resume": True, "reconnect": True, "hears": Hears.NOTHING, **given}
    plan = Plan(urls=urls, dialect=Dialect(headers=(("X-Own", "1"),)), **fields)  # type: ignore[arg-type]
    group = ResumingGroup(Assignment(plan, RUN, 0, [resolve(url) for url in urls]), time.monotonic_ns())
    try:
        group.ramp()
        yield group
    finally:
        await group.close()


async def publish(group: ResumingGroup, count: int) -> None:
    """Have each publisher send so many more messages, and wait until all are acknowledged."""
    for publisher in group.publishers.values():
        publisher.backlog.extend([time.monotonic_ns() - group.epoch] * count)
        publisher.send_due()
    await wait_until(lambda: not any(publisher.backlog for publisher in group.publishers.values()), 60.0)


async def judged(group: ResumingGroup) -> Faults:
    """Wait until nothing can come any more that hasn't, and return the faults."""
    records = {number: publisher.sent_at for number, publisher in group.publishers.items()}
    sent = {number: len(record) for number, record in records.items()}
    last = {number: record[-1] for number, record in records.items() if record}
    await wait_until(
        lambda: not group.busy and not group.checker.outstanding(group.receivers, sent, last), 60.0, lambda: "all came"
    )
    group.collect()
    group.count_absent()
    return group.checker.finish(group.receivers, sent, records, 10**15)


@pytest.mark.parametrize("over", Over)
async def test_who_is_hung_up_on_goes_on_where_it_was(over: Over) -> None:
    async with HistoryServer(hang_up_after=5) as server, group_of(server.url, server.url, over=over) as group:
        await wait_until(lambda: not group.busy)
        assert (group.connected, group.sessions, group.resumed) == (6, 6, 0)
        assert group.ramped > 0
        await publish(group, 10)
        faults = await judged(group)
        assert not faults.any, faults
        assert (group.resumed, group.notices, group.recorder.delivered) == (4, 0, 80)
        ends = {Over.EVENTS: {"1001 going away": 4}, Over.POLLS: {"closed unanswered": 4}}
        assert faults.returned == ends.get(over, {"1001 going away": 2, "closed unanswered": 2})
        assert sum(group.delivered_by_second.values()) == 80
        assert group.bytes_received > 0


async def test_connections_are_cut_until_the_act_is_over() -> None:
    async with HistoryServer(hang_up_after=None) as server, group_of(server.url, reconnect_every=0.05) as group:
        await wait_until(lambda: not group.busy)
        group.start_act()
        await publish(group, 10)
        await wait_until(lambda: group.resumed > 8, 60.0)
        group.stop_act()
        faults = await judged(group)
        assert not faults.any, faults
        assert (group.recorder.delivered, set(faults.returned)) == (80, {"cut by the load test"})


async def test_where_nobody_is_each_is_refused_once() -> None:
    async with group_of(f"ws://127.0.0.1:{free_port()}") as group:
        await wait_until(lambda: group.checker.faults.refused == {"connection refused": 6})
        await wait_until(lambda: all(publisher.tried.is_set() for publisher in group.publishers.values()))
        assert (group.connected, group.busy) == (0, True)
        group.count_absent()
        assert group.checker.faults.closed == {"did not come back": 4}


async def test_a_refusal_of_its_own_position_is_a_fault_of_the_server() -> None:
    async with RefusingHistory(400, 3) as server, group_of(server.url, over=Over.EVENTS, clients=1) as group:
        await wait_until(lambda: not group.busy)
        await publish(group, 15)
        faults = await judged(group)
        assert (faults.refused, faults.lost) == ({"HTTP 400 to a client that came back": 1}, 0)


async def test_what_is_told_is_no_silent_loss() -> None:
    async with (
        ShortHistory(tells=True) as server,
        group_of(server.url, over=Over.EVENTS, reconnect_every=0.05) as group,
    ):
        await wait_until(lambda: not group.busy)
        group.start_act()
        while not group.notices:
            await publish(group, 5)
        group.stop_act()
        faults = await judged(group)
        assert (faults.lost, faults.told > 0, faults.any) == (0, True, False), faults


async def test_an_answer_that_does_not_come_is_asked_for_again() -> None:
    async with ForgetfulPublishing(3) as server, group_of(server.url, clients=1) as group:
        await publish(group, 10)
        faults = await judged(group)
        assert (faults.any, server.unanswered, server.published.total()) == (False, 6, 20)


async def test_publishers_that_may_not_publish_are_counted_once_and_go_on_trying() -> None:
    async with RefusingPublishing() as server, group_of(server.url, publishers=1) as group:
        for publisher in group.publishers.values():
            publisher.backlog.append(0)
            publisher.send_due()
        await wait_until(lambda: server.refused > 2)
        assert group.checker.faults.refused == {"publishing: HTTP 403": 1}
        assert [len(publisher.backlog) for publisher in group.publishers.values()] == [1]


async def test_events_that_carry_no_position_are_unexpected() -> None:
    async with WithoutPositions() as server, group_of(server.url, over=Over.EVENTS, clients=1) as group:
        await wait_until(lambda: not group.busy)
        await publish(group, 3)
        faults = await judged(group)
        assert (faults.unexpected, faults.lost) == (6, 0)
