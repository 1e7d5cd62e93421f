"""When a survey is complete, and when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from relay.brokers import Published
from relay.control.messages import SurveyReply, SurveyRequest
from relay.control.nodes import ANNOUNCE_SECONDS, ANNOUNCEMENTS_TO_EXPIRY, KnownNodes
from relay.control.surveys import MAX_SURVEYS, SurveyError, Surveys
from relay.errors import BusUnavailable
from tests.control.test_nodes import Clock
from tests.harness.conditions import stays_true, wait_until

OWN, *OTHERS = (f"{number:016x}" for number in range(4))


class Bus:
    """Keeps the requests of surveys, and tells how many gateways have received one.

    Args:
        receivers: what it tells; or why it fails.

    Attributes:
        requests: in the order in which they came.
        on_request: called for each.
    """

    def __init__(self, receivers: int | Exception) -> None:
        self.receivers = receivers
        self.requests: list[SurveyRequest] = []
        self.on_request: Callable[[SurveyRequest], None] = lambda request: None

    def send(self, request: SurveyRequest) -> asyncio.Future[Published]:
        self.requests.append(request)
        self.on_request(request)
        future: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        if isinstance(self.receivers, Exception):
            future.set_exception(self.receivers)
        else:
            future.set_result(Published(self.receivers))
        return future


async def asked(bus: Bus, surveys: Surveys) -> asyncio.Task[list[SurveyReply]]:
    """Return a survey whose request was sent."""
    before = len(bus.requests)
    task = asyncio.create_task(surveys.ask())
    await wait_until(lambda: len(bus.requests) > before)
    return task


def replying(bus: Bus, surveys: Surveys, *uids: str) -> None:
    """Let gateways reply at once to the requests that come from now on."""

    def reply(request: SurveyRequest) -> None:
        for uid in uids:
            surveys.add(SurveyReply(number=request.number, uid=uid))

    bus.on_request = reply


async def test_it_is_complete_with_as_many_replies_as_the_bus_counted() -> None:
    """Replies of releases that don't name their gateway count."""
    bus = Bus(3)
    surveys = Surveys(OWN, bus.send, None, seconds=60)
    survey = await asked(bus, surveys)
    assert bus.requests == [SurveyRequest(asker=OWN, number=1)]
    for number in (1, 1, 7):
        surveys.add(SurveyReply(number=number))
    assert await stays_true(lambda: not survey.done(), 0.02)
    surveys.add(SurveyReply(number=1))
    assert len(await survey) == 3
    assert not surveys


async def test_fewer_replies_in_time_are_an_error() -> None:
    bus = Bus(2)
    surveys = Surveys(OWN, bus.send, None, seconds=0.02)
    replying(bus, surveys, OWN)
    with pytest.raises(SurveyError, match=r"only 1 of 2 gateways answered within 0\.02 s$"):
        await surveys.ask()
    assert not surveys


async def test_no_receiver_is_an_error_at_once_where_the_bus_counts_all() -> None:
    with pytest.raises(SurveyError, match="0 of 0"):
        await Surveys(OWN, Bus(0).send, None, seconds=60).ask()


async def test_a_request_that_could_not_be_sent_is_an_error() -> None:
    surveys = Surveys(OWN, Bus(BusUnavailable("away")).send, None)
    with pytest.raises(BusUnavailable):
        await surveys.ask()
    assert not surveys


async def test_more_surveys_wait_for_their_turn() -> None:
    bus = Bus(1)
    surveys = Surveys(OWN, bus.send, None, seconds=60)
    tasks = [asyncio.create_task(surveys.ask(str(number))) for number in range(MAX_SURVEYS + 1)]
    await wait_until(lambda: len(surveys) == MAX_SURVEYS)
    assert await stays_true(lambda: len(bus.requests) == MAX_SURVEYS, 0.02)
    surveys.add(SurveyReply(number=1))
    await wait_until(lambda: len(bus.requests) == MAX_SURVEYS + 1)
    for request in bus.requests[1:]:
        surveys.add(SurveyReply(number=request.number))
    assert [len(replies) for replies in await asyncio.gather(*tasks)] == [1] * (MAX_SURVEYS + 1)


def known_nodes(clock: Clock, *uids: str) -> KnownNodes:
    """Return a settled table of gateways, this one included."""
    nodes = KnownNodes(OWN, clock)
    nodes.announced(OWN, "here:1")
    clock.now += 2 * ANNOUNCE_SECONDS
    for uid in (OWN, *uids):
        nodes.announced(uid, f"host{int(uid, 16)}:1")
    assert nodes.settled
    return nodes


async def test_each_known_gateway_must_reply_where_the_bus_does_not_count_all() -> None:
    bus, nodes = Bus(1), known_nodes(Clock(), *OTHERS)
    surveys = Surveys(OWN, bus.send, nodes, seconds=60)
    survey = await asked(bus, surveys)
    for uid in (OWN, OTHERS[0], OTHERS[0], OTHERS[1]):
        surveys.add(SurveyReply(number=1, uid=uid))
    assert await stays_true(lambda: not survey.done(), 0.02)
    surveys.add(SurveyReply(number=1, uid=OTHERS[2]))
    assert len(await survey) == 5


async def test_as_many_as_the_bus_counted_must_reply_even_when_fewer_are_known() -> None:
    """A gateway that announces nothing, and whatever else listens, counts as it does where the bus counts all."""
    bus = Bus(2)
    surveys = Surveys(OWN, bus.send, known_nodes(Clock()), seconds=0.02)
    replying(bus, surveys, OWN)
    with pytest.raises(SurveyError, match="only 1 of 2"):
        await surveys.ask()
    replying(bus, surveys, OWN, OTHERS[0])
    assert len(await surveys.ask()) == 2


async def test_the_error_names_the_gateways_that_did_not_reply() -> None:
    bus, nodes = Bus(1), known_nodes(Clock(), *OTHERS)
    surveys = Surveys(OWN, bus.send, nodes, seconds=0.02)
    replying(bus, surveys, OWN, OTHERS[1])
    with pytest.raises(SurveyError, match=r"only 2 of 4 gateways .* missing: host1:1, host3:1$") as caught:
        await surveys.ask()
    assert caught.value.missing == ["host1:1", "host3:1"]


async def test_this_gateway_must_reply_even_when_it_is_not_known_yet() -> None:
    """Else one that is deaf, to which the bus is not subscribed, would say that it is alone."""
    with pytest.raises(SurveyError, match=f"only 0 of 1 .* missing: {OWN}"):
        await Surveys(OWN, Bus(0).send, KnownNodes(OWN, Clock()), seconds=0.02).ask()


async def test_a_gateway_that_leaves_during_a_survey_is_not_waited_for() -> None:
    bus, nodes = Bus(1), known_nodes(Clock(), *OTHERS[:1])
    surveys = Surveys(OWN, bus.send, nodes, seconds=60)
    survey = await asked(bus, surveys)
    surveys.add(SurveyReply(number=1, uid=OWN))
    surveys.drop(OTHERS[0])
    assert len(await survey) == 1


async def test_a_gateway_that_died_is_missing_until_its_last_announcement_expires() -> None:
    clock = Clock()
    bus, nodes = Bus(1), known_nodes(clock, *OTHERS[:1])
    surveys = Surveys(OWN, bus.send, nodes, seconds=0.02)
    replying(bus, surveys, OWN)
    with pytest.raises(SurveyError, match="missing: host1:1"):
        await surveys.ask()

    def expire(request: SurveyRequest) -> None:
        surveys.add(SurveyReply(number=request.number, uid=OWN))
        clock.now += ANNOUNCEMENTS_TO_EXPIRY * ANNOUNCE_SECONDS

    bus.on_request = expire
    assert len(await surveys.ask()) == 1


async def test_a_survey_takes_all_its_time_while_there_may_be_gateways_that_are_not_known_yet() -> None:
    """Just after the start of this gateway, and after an outage of the bus."""
    bus = Bus(1)
    surveys = Surveys(OWN, bus.send, KnownNodes(OWN, Clock()), seconds=1.0)
    replying(bus, surveys, OWN)
    survey = await asked(bus, surveys)
    asyncio.get_running_loop().call_later(0.01, surveys.add, SurveyReply(number=1, uid=OTHERS[0]))
    assert len(await survey) == 2
