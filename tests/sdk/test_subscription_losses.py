"""Messages that may be missing: a loop ends, or a handler is told."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from relay import Client, MessagesMissed
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.stand_in import StandIn
from tests.sdk.listeners import KEPT, read_into, start, take
from tests.sdk.streams import Script, eager


async def test_it_goes_on_where_it_was(stand_in: StandIn) -> None:
    """After a farewell, a broken event, a refusal, and a stream that never begins."""
    script = Script(
        b'retry: 1\n\nid: e:1\n\nid: e:2\ndata: two\n\nevent: close\ndata: {"code":1001,"reason":"going away"}\n\n',
        b"retry: 1\n\nid: e:3\nevent: binary\ndata: /w==\n\nid: e:4\ndata: ha",
        web.Response(status=503),
        b"",
        b"retry: 1\n\nid: e:4\ndata: four\n\nid: e:5\nevent: text\ndata: YQ1i\n\n",
    )
    async with eager(await stand_in(script.answer)) as client, client.subscribe("a/b", history=5) as messages:
        assert await take(messages, 4) == ["two", b"\xff", "four", "a\rb"]
    target = "/sse/a%2Fb"
    assert script.asked == [(f"{target}?history=5", None), (target, "e:2"), *[(target, "e:3")] * 3]


@pytest.mark.parametrize(
    "said",
    [
        "event: close\ndata: ?",
        "event: close\ndata: " + "[" * 100_000,
        'event: close\ndata: {"code":1013,"reason":7}',
        "event: binary\ndata: a",
        "event: binary\ndata: ????",
        "event: missed\ndata: 7",
        'event: missed\ndata: {"position":{"e":1}}',
        "id: e\r:1\ndata: no position, but a second header",
        "id: " + "9" * 10_000 + "\ndata: one that no header has room for",
    ],
)
async def test_what_is_no_event_of_a_relay_breaks_the_stream(stand_in: StandIn, said: str) -> None:
    script = Script(f"id: e:1\ndata: one\n\nid: e:2\n{said}\n\n".encode(), b"id: e:2\ndata: two\n\n")
    async with eager(await stand_in(script.answer)) as client, client.subscribe("a") as messages:
        assert await take(messages, 2) == ["one", "two"]
    assert [position for _, position in script.asked] == [None, "e:1"]


async def test_a_loop_does_not_lose_messages_in_silence(stand_in: StandIn) -> None:
    """In a channel without positions nobody knows whether there were messages between two streams."""
    script = Script(b"retry: 1\n\ndata: one\n\n", b"retry: 1\n\ndata: two\n\n")
    got: list[str | bytes] = []
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(MessagesMissed) as raised:
            await read_into(got, client.subscribe("a"))
        assert (got, raised.value.channel, raised.value.position) == (["one"], "a", None)
        async with client.subscribe("a") as messages:
            assert await take(messages, 1) == ["two"]
            with pytest.raises(MessagesMissed, match=r"messages of 'a' may be missing; .* missed="):
                await anext(messages)
            assert await take(messages, 1) == ["two"]  # it goes on behind the gap


async def test_a_handler_is_called_in_place_of_what_may_be_missing(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    seen: list[object] = []

    async def load_anew(position: str | None) -> None:
        await asyncio.sleep(0)
        seen.append(position)

    await gateway.publish(KEPT, "1")
    async with Client(gateway.url) as client, client.subscribe(KEPT, since="other:7", missed=load_anew) as messages:
        published = await client.publish(KEPT, "2")
        assert published.position is not None
        seen.append((await anext(messages)).data)
        assert seen == [published.position.replace(":2", ":1"), "2"]


async def test_a_handler_that_does_not_finish_is_called_again(stand_in: StandIn) -> None:
    """A wait that was cancelled, or an error, is no reason to lose messages in silence."""
    script = Script(
        b'id: e:1\ndata: one\n\nid: e:9\nevent: missed\ndata: {"position":"e:9"}\n\nid: e:10\ndata: ten\n\n'
    )
    called: list[str | None] = []
    finished: list[str | None] = []

    async def load_anew(position: str | None) -> None:
        called.append(position)
        if len(called) == 1:
            await asyncio.Event().wait()
        if len(called) == 2:
            raise OSError
        finished.append(position)

    async with eager(await stand_in(script.answer)) as client, client.subscribe("a", missed=load_anew) as messages:
        assert await take(messages, 1) == ["one"]
        waiting = asyncio.ensure_future(anext(messages))
        await wait_until(lambda: called)
        with pytest.raises(RuntimeError, match="another loop already reads"):
            await anext(messages)  # not past the gap
        waiting.cancel()
        await asyncio.wait([waiting])
        assert messages.position == "e:1"
        with pytest.raises(OSError):  # noqa: PT011  # it has no text
            await anext(messages)
        assert await take(messages, 1) == ["ten"]
    assert (called, finished) == (["e:9"] * 3, ["e:9"])


async def test_a_second_loop_is_refused_and_ends_nothing(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url) as client:
        messages = client.subscribe("lobby")
        first = asyncio.create_task(take(messages, 1))
        await wait_until(lambda: gateway.counters.event_streams_open == 1)
        with pytest.raises(RuntimeError, match="another loop already reads"):
            await take(messages, 1)
        await gateway.publish("lobby", "hello")
        assert await first == ["hello"]


async def test_a_handler_need_not_be_async(stand_in: StandIn) -> None:
    told: list[str | None] = []
    script = Script(b'id: e:1\ndata: one\n\nid: e:9\nevent: missed\ndata: {"position":"e:9"}\n\n', b"data: two\n\n")
    async with eager(await stand_in(script.answer)) as client:
        assert await take(client.subscribe("a", missed=told.append), 2) == ["one", "two"]
    assert told == ["e:9"]
