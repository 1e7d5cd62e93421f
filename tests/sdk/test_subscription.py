"""A program that listens to a channel of a real gateway, and of servers that do what gateways do only at times."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from relay import Client, ClientRefused, ReceivedMessage
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.stand_in import StandIn
from tests.sdk.listeners import KEPT, start, take
from tests.sdk.streams import eager


async def test_messages_arrive_as_they_were_published(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    sent: list[str | bytes] = ["hello", " two\nlines ", "a\r\nb", "", b"\x00\xff", b"", "雪"]
    async with Client(gateway.url) as client, client.subscribe("lobby") as messages:
        for data in sent:
            await gateway.publish("lobby", data)
        assert await take(messages, len(sent)) == sent
        await gateway.publish("lobby", "last")
        assert await anext(messages) == ReceivedMessage("lobby", "last", None)
        assert messages.position is None


async def test_a_channel_that_counts_its_messages_tells_their_positions(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url) as client:
        async with client.subscribe(KEPT) as messages:
            assert messages.position is not None
            epoch, _, offset = messages.position.partition(":")
            assert offset == "0"
            await client.publish(KEPT, "1")
            await client.publish(KEPT, "2")
            first = await anext(messages)
            assert (first.data, first.position, messages.position) == ("1", f"{epoch}:1", f"{epoch}:1")
        async with client.subscribe(KEPT, since=first.position) as messages:
            assert await take(messages, 1) == ["2"]
            assert messages.position == f"{epoch}:2"
        async with client.subscribe(KEPT, history=2) as messages:
            assert await take(messages, 2) == ["1", "2"]


async def test_a_wait_that_is_cancelled_loses_no_message(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url) as client, client.subscribe("lobby") as messages:
        for number in range(3):
            waiting = asyncio.ensure_future(anext(messages))
            await wait_until(lambda: messages._busy)
            with pytest.raises(RuntimeError, match="another loop already reads"):
                await anext(messages)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await gateway.publish("lobby", f"{number}")
            assert (await anext(messages)).data == f"{number}"


@pytest.mark.parametrize("asked_for_token", [False, True])
async def test_a_wait_that_is_cancelled_leaves_an_opening_alone(stand_in: StandIn, asked_for_token: bool) -> None:
    """However short the waits are, there is a stream in the end, and the gateway is asked for one once."""
    asked: list[str] = []
    go = asyncio.Event()

    async def ask() -> str:
        asked.append("token")
        if asked_for_token:
            await go.wait()
        return "token"

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append("stream")
        await go.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await asyncio.Event().wait()
        return response

    before = ["token"] if asked_for_token else ["token", "stream"]
    async with eager(await stand_in(serve), token=ask) as client:
        messages = client.subscribe("a")
        for _ in range(3):
            waiting = asyncio.ensure_future(anext(messages))
            await wait_until(lambda: asked == before)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        go.set()
        assert (await anext(messages)).data == "one"
    assert asked == ["token", "stream"]


async def test_an_opening_that_nobody_waits_for_tells_the_next_one(stand_in: StandIn) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def refuse(request: web.Request) -> web.StreamResponse:
        asked.set()
        await answered.wait()
        return web.Response(status=403, text="you may not")

    async with eager(await stand_in(refuse)) as client:
        messages = client.subscribe("a")
        waiting = asyncio.ensure_future(anext(messages))
        await asked.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        answered.set()
        await wait_until(lambda: messages._opening is not None and messages._opening.done())
        with pytest.raises(ClientRefused, match="you may not"):
            await anext(messages)


async def test_closing_ends_an_opening_that_nobody_waits_for(stand_in: StandIn) -> None:
    before = asyncio.all_tasks()
    asked = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with eager(await stand_in(hang)) as client:
        messages = client.subscribe("a")
        waiting = asyncio.ensure_future(anext(messages))
        await asked.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        await messages.aclose()
        await wait_until(lambda: not {task for task in asyncio.all_tasks() - before if "_attempt" in repr(task)})
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_leaving_a_loop_ends_its_subscription(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    before = asyncio.all_tasks()

    async def listen(until: str) -> None:
        async for message in client.subscribe("lobby"):
            if message.data == until == "break":
                break
            if message.data == until == "raise":
                raise ValueError

    async with Client(gateway.url) as client:
        loops = {until: asyncio.create_task(listen(until)) for until in ("break", "raise", "cancel", "close")}
        for number, until in enumerate(loops):
            await wait_until(lambda number=number: gateway.counters.event_streams_open == 4 - number)
            if until == "cancel":
                loops[until].cancel()
            elif until == "close":
                await client.aclose()
            else:
                await gateway.publish("lobby", until)
            await asyncio.wait([loops[until]])
        await wait_until(lambda: gateway.counters.event_streams_open == 0)
        assert loops["cancel"].cancelled()
        assert [loops[until].exception() for until in ("break", "close")] == [None, None]
        assert isinstance(loops["raise"].exception(), ValueError)
    # The gateway's own tasks for its last connections end, too.
    await wait_until(lambda: asyncio.all_tasks() <= before)


async def test_a_block_has_as_many_loops_as_it_likes(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with Client(gateway.url) as client:
        async with client.subscribe("lobby") as messages:
            for data in ("1", "2", "3"):
                await gateway.publish("lobby", data)
                assert await take(messages, 1) == [data]
        await wait_until(lambda: gateway.counters.event_streams_open == 0)
        assert await take(messages, 1) == []
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_several_channels_at_once(embedded: EmbeddedFactory) -> None:
    """More than an HTTP client has connections by itself."""
    gateway = await start(embedded)
    names = [f"channel-{number}" for number in range(120)]
    async with Client(gateway.url) as client, asyncio.TaskGroup() as group:
        loops = [group.create_task(take(client.subscribe(name), 1)) for name in names]
        await wait_until(lambda: gateway.counters.event_streams_open == len(names))
        for name in names:
            await client.publish(name, name)
    assert [loop.result() for loop in loops] == [[name] for name in names]


async def test_closing_the_client_ends_a_pause_and_an_opening(stand_in: StandIn) -> None:
    asked = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        if request.path == "/sse/opening":
            await asyncio.Event().wait()
        return web.Response(status=503, headers={"Retry-After": "1000"})

    client = Client(await stand_in(hang))
    loops = []
    for name in ("pause", "opening"):
        asked.clear()
        loops.append(asyncio.create_task(take(client.subscribe(name), 1)))
        await asked.wait()
    await client.aclose()
    assert await asyncio.gather(*loops) == [[], []]
    with pytest.raises(RuntimeError, match="closed"):
        client.subscribe("lobby")


async def test_a_generator_of_it_can_be_closed(embedded: EmbeddedFactory) -> None:
    """As any: where no reference is counted, only that ends a loop that was left."""
    gateway = await start(embedded)
    async with Client(gateway.url) as client:
        async with aclosing(aiter(client.subscribe(KEPT, history=1))) as messages:
            await gateway.publish(KEPT, "1")
            async for _ in messages:
                break
        await wait_until(lambda: gateway.counters.event_streams_open == 0)


async def test_wrong_names_and_positions_are_told_at_once() -> None:
    client = Client("http://localhost:1")
    with pytest.raises(ValueError, match="a position is EPOCH:OFFSET"):
        client.subscribe("lobby", since="7")
    with pytest.raises(Exception, match="white space"):
        client.subscribe("my lobby")
    await client.aclose()
