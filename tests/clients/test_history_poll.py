"""Polls of a channel that keeps its messages: a cursor is a position, and nobody is subscribed between two polls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay import Gateway
from relay.clients.history_poll import HistoryPoll
from relay.message import make_message
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient

NAMESPACES = {"kept": {"history_size": 5}, "large": {"history_size": 100}, "counted": {"positions": True}}


async def start(embedded: EmbeddedFactory, **settings: Any) -> Gateway:
    """Start a gateway with channels that have histories."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES, **settings)
    return gateway


def waiting(gateway: Gateway) -> list[HistoryPoll]:
    """Return the polls that wait."""
    return [client for client in parts_of(gateway).context.registry if isinstance(client, HistoryPoll)]


async def publish(gateway: Gateway, channel: str, *texts: str) -> None:
    """Publish messages."""
    for text in texts:
        await gateway.publish(channel, text)


async def test_a_client_gets_each_message_once_whenever_it_was_published(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    assert await client.poll(wait=0) == []
    await publish(gateway, "kept:a", "one", "two")
    assert await client.poll() == ["one", "two"]
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    await publish(gateway, "kept:a", "three")
    assert await polling == ["three"]
    assert await client.poll(wait=0) == []
    assert client.missed == 0
    assert [element["position"] for element in client.answer["messages"]] == []
    assert client.cursor is not None
    assert client.cursor.endswith(":3")


async def test_nobody_is_subscribed_between_two_polls(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    for _ in range(3):
        await client.poll(wait=0)
        node = parts_of(gateway).context.node
        assert (node.channels, gateway.counters.polls_open, gateway.counters.connections_open) == (0, 0, 0)
    assert not len(parts_of(gateway).polling_clients)
    assert gateway.counters.connections_closed == {1000: 3}


async def test_an_answer_that_got_lost_is_given_again(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    await client.poll(wait=0)
    await publish(gateway, "kept:a", "one")
    lost = await client.ask()
    await publish(gateway, "kept:a", "two")
    assert [element["text"] for element in lost.json["messages"]] == ["one"]
    assert await client.poll() == ["one", "two"]
    assert client.missed == 0


async def test_it_is_told_that_messages_are_missing_exactly_when_some_are(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    exact, late = PollClient(gateway.port, "kept:a"), PollClient(gateway.port, "kept:a")
    await late.poll(wait=0)
    await publish(gateway, "kept:a", "0")
    await exact.poll()
    await publish(gateway, "kept:a", *"12345")
    assert (await exact.poll(), exact.missed) == ([*"12345"], 0)
    assert (await late.poll(), late.missed) == ([], 1)
    await publish(gateway, "kept:a", "6")
    assert (await late.poll(), late.missed) == (["6"], 1)


@pytest.mark.parametrize("cursor", ["other:1", "{epoch}:99", "abcdefghijklmnopqrstuv.0"])
async def test_a_cursor_that_says_nothing_is_told_as_missed(embedded: EmbeddedFactory, cursor: str) -> None:
    """Another epoch, the future, and one of a time when the channel had no history."""
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    await publish(gateway, "kept:a", "one")
    await client.poll(wait=0)
    assert client.cursor is not None
    client.cursor = cursor.format(epoch=client.cursor.partition(":")[0])
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await client.poll(wait=25), client.missed) == ([], 1)
    assert client.cursor.endswith(":1")


async def test_the_position_of_a_channel_without_history_is_told_as_missed(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "plain")
    client.cursor = "epoch:7"
    assert (await client.poll(wait=0), client.missed) == ([], 1)
    assert (await client.poll(wait=0), client.missed) == ([], 1)


async def test_the_first_poll_may_ask_for_the_newest_messages(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    await publish(gateway, "kept:a", *"123")
    answer = (await get(gateway.port, "/poll/kept:a?history=2")).json
    assert [element["text"] for element in answer["messages"]] == ["2", "3"]
    assert answer["missed"] is False
    answer = (await get(gateway.port, "/poll/kept:a?history=99")).json
    assert [element["text"] for element in answer["messages"]] == ["1", "2", "3"]
    refused = await get(gateway.port, "/poll/plain?history=2")
    assert (refused.status, refused.text) == (400, "history: this channel keeps no messages\n")


async def test_an_answer_has_no_more_than_may_wait_for_a_client(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, send_buffer_bytes=70_000)
    client = PollClient(gateway.port, "large:a")
    await client.poll(wait=0)
    sent = [f"{number}" * 20_000 for number in range(8)]
    await publish(gateway, "large:a", *sent, "x" * 100_000)
    sizes = []
    while len(client.received) < 9:
        sizes.append(len(await client.poll()))
    assert sizes == [3, 3, 2, 1]
    assert (client.received, client.missed) == ([*sent, "x" * 100_000], 0)


async def test_messages_between_two_polls_of_a_channel_that_only_counts_wait_at_the_gateway(
    embedded: EmbeddedFactory,
) -> None:
    """There is no history that would keep them."""
    gateway = await start(embedded)
    client = PollClient(gateway.port, "counted:a")
    await client.poll(wait=0)
    await publish(gateway, "counted:a", "one")
    assert (await client.poll(), client.missed) == (["one"], 0)
    assert len(parts_of(gateway).polling_clients) == 1


async def test_the_welcome_comes_with_the_first_answer_only(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, welcome="hello")
    client = PollClient(gateway.port, "kept:a")
    assert await client.poll() == ["hello"]
    assert await client.poll(wait=0) == []


async def test_a_drain_answers_polls_that_wait_with_why(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    await gateway.drain()
    assert await polling == []
    assert client.answer["closed"] == {"code": 1001, "reason": "going away"}
    assert client.missed == 0


async def test_a_client_that_has_gone_is_not_waited_for(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    polling = asyncio.create_task(PollClient(gateway.port, "kept:a").poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    polling.cancel()
    await wait_until(lambda: not gateway.counters.connections_open)
    assert not parts_of(gateway).polling_clients._asking


async def test_a_gap_ends_the_wait_and_the_next_poll_knows_what_is_missing(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    await client.poll(wait=0)
    before = client.cursor
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    parts_of(gateway).context.missed_messages.tell(["kept:a"])
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await polling == []
    assert (client.cursor, client.missed) == (before, 0)


@pytest.mark.parametrize("texts", ["+", "1+", "+1", "1++", "+1+"])
async def test_messages_without_a_position_do_not_move_the_cursor(embedded: EmbeddedFactory, texts: str) -> None:
    """What a bare PUBLISH on Redis brings: here each `+`, in one tick with what the relay has counted."""
    gateway = await start(embedded)
    client = PollClient(gateway.port, "kept:a")
    await client.poll(wait=0)
    before = client.cursor
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    node = parts_of(gateway).context.node
    submitted = []
    for text in texts:
        if text == "+":
            node.receive(make_message("kept:a", text))
        else:
            submitted.append(node.submit(make_message("kept:a", text)))
    node.hub.flush()
    await asyncio.gather(*submitted)
    assert await polling == [*texts]
    assert client.missed == 0
    assert client.cursor is not None
    assert client.cursor.endswith(":1") if "1" in texts else client.cursor == before
    await publish(gateway, "kept:a", "next")
    assert (await client.poll(), client.missed) == (["next"], 0)


@pytest.mark.parametrize("invented", ["{epoch}:2", "e:0", "{epoch}x:1"])
async def test_a_cursor_that_no_answer_has_had_makes_a_new_client(embedded: EmbeddedFactory, invented: str) -> None:
    """Anybody could write one, and so get past the rate of new clients."""
    gateway = await start(embedded, max_new_connections_per_second=1)
    client = PollClient(gateway.port, "kept:a")
    await publish(gateway, "kept:a", "one")
    await client.poll(wait=0)
    assert client.cursor is not None
    epoch = client.cursor.partition(":")[0]
    polling = asyncio.create_task(client.poll(wait=25))
    await wait_until(lambda: len(waiting(gateway)) == 1)
    target = f"/poll/kept:a?wait=0&cursor={invented.format(epoch=epoch)}"
    assert 503 in [(await get(gateway.port, target)).status for _ in range(15)]
    await publish(gateway, "kept:a", "two")
    assert await polling == ["two"]


async def test_polls_that_go_on_are_no_new_clients(embedded: EmbeddedFactory) -> None:
    """As those whose messages the gateway keeps: the bus has nothing to do with them."""
    gateway = await start(embedded, max_new_connections_per_second=1)
    client = PollClient(gateway.port, "kept:a")
    for _ in range(15):
        await client.poll(wait=0)
    statuses = [(await get(gateway.port, f"/poll/kept:{number}?wait=0&cursor=e:0")).status for number in range(15)]
    assert 503 in statuses
