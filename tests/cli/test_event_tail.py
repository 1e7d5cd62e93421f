"""A tail that goes on where it was."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from yarl import URL

from relay import Gateway
from relay.cli.channel_url import channel_url, events_url
from relay.cli.event_tail import EventTail
from relay.cli.tail import GatewayRefused
from tests.cli.command import invoke_aside
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.stand_in import StandIn

SHORT_SECONDS = 0.01

CHANNEL = "kept:a"


async def start(embedded: EmbeddedFactory, *texts: str) -> Gateway:
    """Start a gateway, and publish messages."""
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 5}})
    for text in texts:
        await gateway.publish(CHANNEL, text)
    return gateway


async def test_it_begins_with_the_newest_messages(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, *"1234")
    outcome = await invoke_aside("subscribe", "--gateway", gateway.url, CHANNEL, "--history", "2", "--count", "2")
    assert (outcome.code, outcome.output) == (0, "3\n4\n")
    assert "missing" not in outcome.errors


async def test_it_begins_after_a_position(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, "1")
    async with EventStreamClient(gateway.port, f"/sse/{CHANNEL}") as stream:
        since = await stream.position()
    await gateway.publish(CHANNEL, "2")
    await gateway.publish(CHANNEL, "3")
    outcome = await invoke_aside("subscribe", "--gateway", gateway.url, CHANNEL, "--since", since, "--count", "2")
    assert (outcome.code, outcome.output) == (0, "2\n3\n")


async def test_it_says_where_messages_may_be_missing(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, "1")
    arguments = ["subscribe", "--gateway", gateway.url, CHANNEL, "--since", "other:1", "--count", "1"]
    invoked = asyncio.create_task(invoke_aside(*arguments))
    await wait_until(lambda: gateway.counters.event_streams_open == 1)
    await gateway.publish(CHANNEL, "live")
    outcome = await invoked
    assert (outcome.code, outcome.output) == (0, "live\n")
    assert "relay: messages may be missing here\n" in outcome.errors


async def test_it_goes_on_where_it_was(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """After a farewell, a broken connection and a refusal."""
    asked: list[tuple[str, str | None]] = []
    answers = [
        b'retry: 1\n\nid: e:1\n\nid: e:2\ndata: two\n\nevent: close\ndata: {"code":1001,"reason":"going away"}\n\n',
        b"id: e:3\nevent: binary\ndata: /w==\n\nid: e:4\ndata: ha",
        None,
        b'id: e:9\nevent: missed\ndata: {"position":"e:9"}\n\nid: e:10\ndata: ten\n\n',
    ]

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append((request.path_qs, request.headers.get("Last-Event-ID")))
        answer = answers[len(asked) - 1]
        if answer is None:
            return web.Response(status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(answer)
        return response

    url = events_url(channel_url(await stand_in(serve), "a/b"))
    await EventTail(url, 3, history=5, first_delay_seconds=SHORT_SECONDS).run()
    printed = capsys.readouterr()
    assert printed.out == "two\nbinary, 1 bytes: ff\nten\n"
    target = "/sse/a%2Fb"
    assert asked == [(f"{target}?history=5", None), (target, "e:2"), (target, "e:3"), (target, "e:3")]
    told = printed.err.splitlines()
    assert any("closed with 1001 going away; trying again in" in text for text in told)
    assert any("broke the connection; trying again in" in text for text in told)
    assert any("answered HTTP 503: it is full" in text for text in told)
    assert told[-1] == "relay: messages may be missing here"


@pytest.mark.parametrize("code", [3503, 4500])
async def test_it_stays_away_when_it_is_told_so(stand_in: StandIn, code: int) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        return web.Response(
            content_type="text/event-stream", text=f'event: close\ndata: {{"code":{code},"reason":"go"}}\n\n'
        )

    url = events_url(channel_url(await stand_in(serve), "a"))
    with pytest.raises(GatewayRefused, match=f"closed with {code} go, which means: stay away"):
        await EventTail(url, None, first_delay_seconds=SHORT_SECONDS).run()


async def test_a_channel_that_keeps_nothing_is_named(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    outcome = await invoke_aside("subscribe", "--gateway", gateway.url, "plain", "--history", "2")
    assert outcome.code == 1
    assert "answered HTTP 400: history: this channel keeps no messages" in outcome.errors


async def test_a_position_is_checked_before_anything_is_connected() -> None:
    outcome = await invoke_aside("subscribe", "lobby", "--since", "7")
    assert outcome.code == 2
    assert "a position is EPOCH:OFFSET" in outcome.errors
    outcome = await invoke_aside("subscribe", "lobby", "--since", "e:7", "--history", "2")
    assert outcome.code == 2
    assert "give one of them" in outcome.errors


def test_the_events_of_a_channel_are_beside_its_websocket() -> None:
    for gateway, expected in (
        ("ws://host:8000", "http://host:8000/sse/a%2Fws%2Fb"),
        ("wss://ws.example/relay", "https://ws.example/relay/sse/a%2Fws%2Fb"),
    ):
        assert str(events_url(channel_url(gateway, "a/ws/b"))) == expected


def test_the_address_of_events_is_a_url() -> None:
    assert events_url(URL("ws://h/ws/a", encoded=True)) == URL("http://h/sse/a")
