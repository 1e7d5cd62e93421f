"""Clients that poll."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.brokers.memory import MemoryBroker
from tests.clients.polls import LINGER, held, waiting
from tests.clients.polls import _frequent_sweeps as _frequent_sweeps
from tests.clients.polls import hasty as hasty
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient, messages_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected


async def test_a_client_that_polls_again_in_time_misses_nothing(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, welcome="hi")
    client = PollClient(gateway.port, "a")
    assert await client.poll(wait=0) == ["hi"]
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        sent: list[str | bytes] = ["one", b"\x00\xff", "", "\r\n\u2028\0", '"']
        for message in sent:
            await sender.send(message)
        assert await client.receive(6) == ["hi", *sent]
        polling = asyncio.create_task(client.poll())
        await wait_until(lambda: waiting(gateway) == 1)
        await sender.send("while it waits")
        assert await polling == ["while it waits"]
    assert client.missed == 0
    counters = gateway.counters
    assert (counters.connections_open, counters.polls_open, counters.connections_accepted) == (1, 1, 2)
    assert counters.deliveries == 6
    assert counters.connections_refused == {}


async def test_an_answer_is_no_page_and_is_not_kept(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    answer = await get(gateway.port, "/poll?wait=0")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["messages"] == []


async def test_a_poll_without_messages_is_answered_when_its_time_is_over(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    began = time.monotonic()
    assert await client.poll(wait=0.5) == []
    assert 0.4 < time.monotonic() - began < 20
    cursor = client.cursor
    assert await client.poll(wait=0) == []
    assert (client.cursor, client.missed) == (cursor, 0)


async def test_an_answer_that_got_lost_is_given_again(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        await sender.send("one")
        lost = await client.ask()
        assert messages_of(lost.json) == ["one"]
        await sender.send("two")
        await wait_until(lambda: held(gateway) == [2])
        assert await client.poll() == ["one", "two"]
        await client.poll(wait=0)
        assert (client.received, client.missed) == (["one", "two"], 0)
        assert held(gateway) == [0]


async def test_messages_for_a_client_that_left_while_it_waited_are_kept(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        async with RawWebSocket(gateway.port) as raw:
            request = f"GET /poll/a?cursor={client.cursor} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await raw.send(request.encode())
            await wait_until(lambda: waiting(gateway) == 1)
            raw.abort()
        # It is noticed that nobody waits any more: what comes is kept for the next poll.
        await wait_until(lambda: waiting(gateway) == 0)
        await sender.send("one")
        assert await client.poll() == ["one"]
    assert client.missed == 0


async def test_a_poll_with_too_much_behind_it_is_answered(embedded: EmbeddedFactory) -> None:
    """Nothing more is read then, so it could not be noticed that the client goes: what it sent would stay for the wait.

    It is answered, and the next request is read.
    """
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as raw:
        await raw.send(b"GET /poll/a?wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_until(lambda: waiting(gateway) == 1)
        sending = asyncio.create_task(raw.send(bytes(10_000_000)))
        await wait_until(lambda: waiting(gateway) == 0, within=20)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        raw.abort()
    await wait_until(lambda: parts_of(gateway).front_door.sockets == 0, within=20)


async def test_a_client_that_comes_back_too_late_is_told(
    embedded: EmbeddedFactory, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    await wait_until(lambda: gateway.counters.polls_open == 0)
    assert gateway.counters.connections_closed == {1006: 1}
    assert parts_of(gateway).context.node.hub.channels == []
    first = client.cursor
    monkeypatch.setattr(LINGER, 60)
    assert await client.poll() == []
    assert client.missed == 1
    assert client.cursor != first
    # Told once, and not again when it goes on.
    await client.poll(wait=0)
    assert client.missed == 1


async def test_another_gateway_tells_that_messages_can_have_been_missed(embedded: EmbeddedFactory) -> None:
    one, two = await embedded(2)
    client = PollClient(one.port, "a")
    await client.poll(wait=0)
    client.port = two.port
    await client.poll()
    assert client.missed == 1


async def test_a_first_poll_has_missed_nothing(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    assert client.answer["missed"] is False


async def test_a_cursor_that_nobody_was_given_counts_as_missed(embedded: EmbeddedFactory) -> None:
    """One from the future, and one whose messages were confirmed since."""
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    assert client.cursor is not None
    old, client.cursor = client.cursor, client.cursor.replace(".0", ".99")
    await client.poll()
    await client.poll(wait=0)
    client.cursor = old
    await client.poll()
    assert client.missed == 2


async def test_the_older_of_two_polls_with_one_cursor_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        older = asyncio.create_task(client.ask(20))
        await wait_until(lambda: waiting(gateway) == 1)
        newer = asyncio.create_task(client.ask(20))
        answer = await older
        assert answer.status == 409
        assert "another poll" in answer.text
        await sender.send("one")
        assert messages_of((await newer).json) == ["one"]


async def test_each_poll_says_who_sends_it(embedded: EmbeddedFactory) -> None:
    """Also one that goes on with a cursor."""
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    answer = await get(gateway.port, f"/poll/a?wait=0&cursor={client.cursor}&user=%20")
    assert (answer.status, answer.text) == (400, "user must not begin or end with white space\n")


async def test_a_channel_is_percent_decoded(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a%2Fb/%C3%A9")
    await client.poll(wait=0)
    async with connected(f"{gateway.url}/ws/a/b/é") as (sender,):
        await sender.send("x")
        assert await client.poll() == ["x"]


async def test_polling_clients_count_as_connections(embedded: EmbeddedFactory, hasty: None) -> None:
    (gateway,) = await embedded(1, max_connections=1)
    client = PollClient(gateway.port, "a")
    polling = asyncio.create_task(client.poll(wait=20))
    await wait_until(lambda: waiting(gateway) == 1)
    answer = await get(gateway.port, "/poll/b?wait=0")
    assert (answer.status, answer.text) == (503, "this gateway is full\n")
    assert gateway.counters.connections_refused == {"full": 1}
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    async with RawWebSocket(gateway.port) as raw:
        assert (await raw.upgrade("/ws/a")).status == 503
    polling.cancel()
    await wait_until(lambda: gateway.counters.polls_open == 0)
    async with connected(f"{gateway.url}/ws/a"):
        assert (await get(gateway.port, "/poll/b?wait=0")).status == 503


async def test_clients_that_do_not_poll_take_half_of_the_places_at_most(embedded: EmbeddedFactory) -> None:
    """A stranger needs a single connection to begin many subscriptions."""
    (gateway,) = await embedded(1, max_connections=6)
    faithful = PollClient(gateway.port, "a")
    for _ in range(20):
        await faithful.poll(wait=0)
        assert (await get(gateway.port, "/poll/b?wait=0")).status == 200
    assert gateway.counters.polls_open == 3
    assert gateway.counters.connections_closed == {1006: 18}
    async with connected(*[f"{gateway.url}/ws/c"] * 2):
        assert (await faithful.poll(wait=0), faithful.missed) == ([], 0)
    polling = asyncio.create_task(faithful.poll())
    await wait_until(lambda: waiting(gateway) == 1)
    for _ in range(5):
        await get(gateway.port, "/poll/b?wait=0")
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        await sender.send("hello")
        assert (await polling, faithful.missed) == (["hello"], 0)


async def test_a_client_that_leaves_while_it_subscribes_leaves_nothing(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(MemoryBroker, "subscribe", lambda self, channel: future)
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    async with RawWebSocket(gateway.port) as raw:
        await raw.send(b"GET /poll/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_until(lambda: parts.context.node.interests == 1)
        raw.abort()
    future.set_result(None)
    await wait_until(lambda: parts.context.node.interests == 0 and len(parts.polling_clients) == 0)
    assert not future._callbacks
