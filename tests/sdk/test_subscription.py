"""A program that listens to a channel of a real gateway, and of servers that do what gateways do only at times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable
from contextlib import aclosing

import pytest
from aiohttp import web

from relay import Client, ClientRefused, Gateway, MessagesMissed, ReceivedMessage
from relay.sdk.errors import MessageTooBig
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.stand_in import StandIn
from tests.sdk.streams import Script, eager

KEPT = "kept:a"


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway that keeps messages of some channels."""
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 20}}, **settings)
    return gateway


async def take(messages: AsyncIterable[ReceivedMessage], count: int) -> list[str | bytes]:
    """Read so many messages of a subscription that a block ends."""
    taken: list[str | bytes] = []
    async for message in messages:
        taken.append(message.data)
        if len(taken) == count:
            break
    return taken


async def read_into(got: list[str | bytes], messages: AsyncIterable[ReceivedMessage]) -> None:
    """Read messages until there are no more."""
    async for message in messages:
        got.append(message.data)  # noqa: PERF401  # what was read before an exception counts


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
            await wait_until(lambda: messages._reading)
            with pytest.raises(RuntimeError, match="another loop already reads"):
                await anext(messages)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await gateway.publish("lobby", f"{number}")
            assert (await anext(messages)).data == f"{number}"


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


async def test_a_handler_need_not_be_async(stand_in: StandIn) -> None:
    told: list[str | None] = []
    script = Script(b'id: e:1\ndata: one\n\nid: e:9\nevent: missed\ndata: {"position":"e:9"}\n\n', b"data: two\n\n")
    async with eager(await stand_in(script.answer)) as client:
        assert await take(client.subscribe("a", missed=told.append), 2) == ["one", "two"]
    assert told == ["e:9"]


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (403, {}, "you may not"),
        (404, {}, "you may not"),
        (301, {"Location": "https://h/sse/a"}, "it redirects clients to https://h/sse/a"),
        (200, {}, "there is no relay at this address: the answer is text/plain"),
    ],
)
async def test_a_refusal_for_good_ends_it(stand_in: StandIn, status: int, headers: dict[str, str], reason: str) -> None:
    script = Script(web.Response(status=status, headers=headers, text="you may not"))
    url = await stand_in(script.answer)
    async with eager(url, token="secret") as client:
        subscription = client.subscribe("a")
        with pytest.raises(ClientRefused) as raised:
            async with subscription:
                pass
        assert (raised.value.status, raised.value.reason) == (status, reason)
        assert raised.value.gateway == url.replace("ws", "http", 1)
        assert str(raised.value).endswith(f"answered HTTP {status}: {reason}")
        assert await take(subscription, 1) == []
    assert len(script.requests) == 1


@pytest.mark.parametrize("code", [1008, 3503, 4500])
async def test_it_stays_away_when_it_is_told_so(stand_in: StandIn, code: int) -> None:
    """Not before what had come is read."""
    script = Script(f'data: one\n\nevent: close\ndata: {{"code":{code},"reason":"go"}}\n\n'.encode())
    got: list[str | bytes] = []
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(ClientRefused, match=f"closed with {code}: go") as raised:
            await read_into(got, client.subscribe("a"))
    assert (got, raised.value.status) == (["one"], code)
    assert len(script.requests) == 1


async def test_what_a_gateway_says_can_not_forge_a_log(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    reason = "\\n\\u001b[2J" + "x" * 10_000
    script = Script(f'data: one\n\nevent: close\ndata: {{"code":1013,"reason":"{reason}"}}\n\n'.encode(), b"")
    with caplog.at_level(logging.WARNING, "relay.client"):
        async with eager(await stand_in(script.answer)) as client, client.subscribe("a") as messages:
            assert await take(messages, 1) == ["one"]
            await wait_until(lambda: caplog.records)
    (record, *_) = caplog.records
    assert "closed with 1013 \\n\\x1b[2Jxxx" in record.getMessage()
    assert len(record.getMessage()) < 1000


async def test_it_waits_as_long_as_it_is_asked_to(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(web.Response(status=429, headers={"Retry-After": "1000"}, text="too many clients"))
    async with Client(await stand_in(script.answer)) as client:
        loop = asyncio.create_task(take(client.subscribe("a"), 1))
        with caplog.at_level(logging.WARNING, "relay.client"):
            await wait_until(lambda: caplog.records)
        loop.cancel()
        assert "HTTP 429: too many clients; listening again in 100" in caplog.text


async def test_a_stream_that_falls_silent_is_opened_anew(stand_in: StandIn) -> None:
    """However often that takes, it goes on where it was."""
    asked: list[str | None] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 1\n\nid: e:1\n\n" if asked[-1] is None else b"id: e:2\ndata: two\n\n")
        await asyncio.Event().wait()
        return response

    async with eager(await stand_in(serve), silence_timeout=0.1) as client:
        assert await take(client.subscribe("a"), 1) == ["two"]
    assert asked[-1] == "e:1"


async def test_a_gateway_that_does_not_answer_is_asked_again(stand_in: StandIn) -> None:
    async def say_nothing(response: web.StreamResponse) -> None:
        await asyncio.Event().wait()

    script = Script(say_nothing, b"data: one\n\n")
    async with eager(await stand_in(script.answer), connect_timeout=0.2) as client:
        assert await take(client.subscribe("a"), 1) == ["one"]


async def test_a_message_that_is_too_big_ends_it(stand_in: StandIn) -> None:
    script = Script(b"data: one\n\ndata: " + b"x" * 20_000 + b"\n\n")
    got: list[str | bytes] = []
    async with eager(await stand_in(script.answer), max_message_bytes=10_000) as client:
        with pytest.raises(MessageTooBig, match="max_message_bytes=10000"):
            await read_into(got, client.subscribe("a"))
    assert (got, len(script.requests)) == (["one"], 1)


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
