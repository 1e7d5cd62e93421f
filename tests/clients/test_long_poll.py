"""Clients that poll."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay import Gateway
from relay.brokers.memory import MemoryBroker
from relay.clients.polling_clients import PollingClients
from relay.errors import Disconnect, SubscribeError
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient, messages_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected

GOING_AWAY = {"code": 1001, "reason": "going away"}
LINGER = "relay.clients.long_poll.LINGER_SECONDS"


@pytest.fixture(autouse=True)
def _frequent_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.clients.polling_clients.SWEEP_SECONDS", 0.02)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions that don't linger."""
    monkeypatch.setattr(LINGER, 0.1)


def waiting(gateway: Gateway) -> int:
    """Return how many polls wait for messages."""
    return sum(subscription._waiting is not None for subscription in parts_of(gateway).polling_clients)


def subscriptions(gateway: Gateway) -> PollingClients:
    """Return the polling clients of a gateway."""
    return parts_of(gateway).polling_clients


def held(gateway: Gateway) -> list[int]:
    """Return how many pieces wait in each subscription."""
    return [len(subscription._backlog) for subscription in parts_of(gateway).polling_clients]


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


async def test_a_cursor_of_another_channel_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    client.channel = "b"
    answer = await client.ask()
    assert (answer.status, answer.text) == (400, "cursor is one of another channel\n")


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/poll/a%20b", 400, "white space"),
        ("/poll/a?wait=26", 400, "wait must be 0 to 25 seconds"),
        ("/poll/a?cursor=x", 400, "cursor must be"),
        ("/poll/a?user=", 400, "user must have"),
        ("/poll/a?user=%ff", 400, "query is malformed"),
        ("/pollx", 404, "Nothing here"),
    ],
)
async def test_a_refusal_says_why(embedded: EmbeddedFactory, target: str, status: int, reason: str) -> None:
    (gateway,) = await embedded(1)
    answer = await get(gateway.port, target)
    assert answer.status == status
    assert reason in answer.text
    assert gateway.counters.polls_open == 0


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
        assert gateway.counters.deliveries_dropped == 1
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
        assert (client.missed, gateway.counters.deliveries_dropped) == (1, 3)
        # Six to each of the others but the sender, three to this one; with their framing a little more.
        assert 9 * 20_000 <= gateway.counters.bytes_delivered <= 9 * 20_050
        await sender.send("on")
        await client.poll()
        assert (client.received[-1], client.missed) == ("on", 1)
        assert gateway.counters.deliveries + gateway.counters.deliveries_dropped == 14


async def test_without_a_bus_nobody_is_let_in(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", broker_timeout=0.2)
    answer = await get(gateway.port, "/poll/a?wait=0")
    assert answer.status == 503
    assert "bus" in answer.text
    assert "retry-after" in answer.headers
    assert gateway.counters.polls_open == 0
    assert gateway.counters.connections_refused == {"bus_timeout": 1}


async def test_a_subscription_that_the_bus_refuses(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: MemoryBroker, channel: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, SubscribeError(channel, "NOPERM"))
        return future

    monkeypatch.setattr(MemoryBroker, "subscribe", refuse)
    (gateway,) = await embedded(1)
    answer = await get(gateway.port, "/poll/a?wait=0")
    assert (answer.status, answer.text) == (503, "the bus refused the subscription\n")
    assert gateway.counters.connections_refused == {"bus_refused": 1}


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


async def test_pages_of_other_sites_need_a_setting(embedded: EmbeddedFactory) -> None:
    (own,) = await embedded(1)
    (listed,) = await embedded(1, allowed_origins=("https://a.example",))
    request = "{} /poll/a?wait={} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\nConnection: close\r\n\r\n"
    assert (await send_request(own.port, request.format("GET", 0).encode())).status == 403
    for wait, status in ((0, 200), (99, 400)):
        answer = await send_request(listed.port, request.format("GET", wait).encode())
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "https://a.example")


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
