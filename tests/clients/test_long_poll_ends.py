"""Polls that end with their client, their gateway, or with the time that is given."""

from __future__ import annotations

import asyncio
import time

from relay.errors import Disconnect
from tests.clients.leftovers import leaving_nothing
from tests.clients.polls import GOING_AWAY, held, subscriptions, waiting
from tests.clients.polls import _frequent_sweeps as _frequent_sweeps
from tests.clients.polls import hasty as hasty
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.websocket_client import connected


async def test_a_client_that_does_not_fetch_its_messages_is_closed_and_told(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=70_000)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(*[f"{gateway.url}/ws/a"] * 2) as (sender, other):
        for number in range(4):
            await sender.send("x" * 20_000)
            await other.receive(number + 1)
        assert gateway.counters.disconnects == {"SLOW_CONSUMER": 1}
        assert gateway.counters.connections_closed == {1013: 1}
        assert gateway.counters.deliveries_dropped == {"closed": 1}
        assert gateway.counters.polls_open == 0
        assert await client.poll() == []
        assert client.missed == 1


async def test_with_the_drop_policy_the_newest_are_missed_and_it_is_told(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=70_000, slow_consumer="drop")
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(*[f"{gateway.url}/ws/a"] * 2) as (sender, other):
        for number in range(6):
            await sender.send(f"{number}" * 20_000)
            await other.receive(number + 1)
        assert 60_000 <= sum(polled.buffered for polled in parts_of(gateway).polling_clients) <= 70_000
        assert await client.poll() == [f"{number}" * 20_000 for number in range(3)]
        assert (client.missed, gateway.counters.deliveries_dropped) == (1, {"skipped": 3})
        # Six to each of the others but the sender, three to this one; with their framing a little more.
        assert 9 * 20_000 <= gateway.counters.bytes_delivered <= 9 * 20_050
        await sender.send("on")
        await client.poll()
        assert (client.received[-1], client.missed) == ("on", 1)
        assert gateway.counters.deliveries == 14 - 3


async def test_a_drain_answers_those_who_wait(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, drain_seconds=0.3)
    clients = [PollClient(gateway.port, "a") for _ in range(3)]
    polling = [asyncio.create_task(client.poll(wait=25)) for client in clients]
    await wait_until(lambda: waiting(gateway) == 3)
    began = time.monotonic()
    await gateway.drain()
    assert time.monotonic() - began < 20
    assert await asyncio.gather(*polling) == [[], [], []]
    assert [client.answer["closed"] for client in clients] == [GOING_AWAY] * 3
    assert gateway.counters.disconnects == {"GOING_AWAY": 3}
    assert gateway.counters.connections_closed == {1001: 3}
    assert gateway.counters.connections_open == 0


async def test_stopping_at_once_answers_them_too(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    idle = PollClient(gateway.port, "b")
    await idle.poll(wait=0)
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: waiting(gateway) == 1)
    async with asyncio.timeout(5):
        await gateway.stop()
    await polling
    assert client.answer["closed"] == GOING_AWAY


async def test_nobody_new_is_let_in_while_draining(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts_of(gateway).context.registry.draining = True
    answer = await get(gateway.port, "/poll/a?wait=0")
    assert (answer.status, answer.text) == (503, "this gateway is shutting down\n")


async def test_a_client_that_is_closed_between_two_polls_is_told_by_the_next(embedded: EmbeddedFactory) -> None:
    """Else a back end could not send away a client that happens not to wait: it would just go on."""
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    polls = subscriptions(gateway)
    (subscription,) = polls
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        await sender.send("the last one")
        await wait_until(lambda: held(gateway) == [1])
    subscription.close(Disconnect.FORCE_DISCONNECT)
    assert gateway.counters.polls_open == 0
    assert await client.poll() == ["the last one"]
    assert client.answer["closed"] == {"code": 3503, "reason": "force disconnect"}
    assert client.missed == 0
    # Told once: who comes nevertheless begins anew.
    assert await client.poll(wait=0) == []
    assert (client.missed, "closed" in client.answer, len(polls)) == (1, False, 1)


async def test_what_nobody_fetches_is_not_kept(embedded: EmbeddedFactory, hasty: None) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    polls = subscriptions(gateway)
    (subscription,) = polls
    subscription.close(Disconnect.FORCE_DISCONNECT)
    assert len(polls._closed) == 1
    await wait_until(lambda: not polls._closed)
    await client.poll(wait=0)
    assert (client.missed, "closed" in client.answer) == (1, False)
    assert gateway.counters.connections_closed == {3503: 1}


async def test_an_ended_client_leaves_no_memory(embedded: EmbeddedFactory, hasty: None) -> None:
    (gateway,) = await embedded(1)
    async with leaving_nothing(gateway):
        await PollClient(gateway.port, "a").poll(wait=0)


async def test_a_closed_subscription_is_closed_once(embedded: EmbeddedFactory) -> None:
    """A drain goes on with a list of those that were open when it began."""
    (gateway,) = await embedded(1)
    await PollClient(gateway.port, "a").poll(wait=0)
    (subscription,) = parts_of(gateway).polling_clients
    subscription.close(Disconnect.GOING_AWAY)
    subscription.close(Disconnect.GOING_AWAY)
    assert gateway.counters.disconnects == {"GOING_AWAY": 1}
    assert await stays_true(lambda: gateway.counters.connections_open == 0, 0.05)


async def test_no_more_are_kept_to_be_told_than_have_places(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_connections=2)
    clients = [PollClient(gateway.port, "a") for _ in range(3)]
    polls = subscriptions(gateway)
    for client in clients:
        await client.poll(wait=0)
        for subscription in list(polls):
            subscription.close(Disconnect.FORCE_DISCONNECT)
    assert len(polls._closed) == 2
    for client in clients:
        await client.poll(wait=0)
    assert ["closed" in client.answer for client in clients] == [False, True, True]
    assert [client.missed for client in clients] == [1, 0, 0]
