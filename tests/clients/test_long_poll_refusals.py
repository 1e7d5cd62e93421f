"""Polls that are refused, and why."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.memory import MemoryBroker
from relay.errors import SubscribeError
from tests.clients.polls import _frequent_sweeps as _frequent_sweeps
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request
from tests.harness.poll_client import PollClient


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


async def test_pages_of_other_sites_need_a_setting(embedded: EmbeddedFactory) -> None:
    (own,) = await embedded(1)
    (listed,) = await embedded(1, allowed_origins=("https://a.example",))
    request = "{} /poll/a?wait={} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\nConnection: close\r\n\r\n"
    assert (await send_request(own.port, request.format("GET", 0).encode())).status == 403
    for wait, status in ((0, 200), (99, 400)):
        answer = await send_request(listed.port, request.format("GET", wait).encode())
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "https://a.example")
