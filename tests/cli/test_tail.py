"""A live tail: it prints, reconnects, and knows when to stop."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from yarl import URL

from relay.cli.tail import GatewayRefused, Tail, backoff, line
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.free_port import free_port
from tests.harness.stand_in import StandIn

SHORT_SECONDS = 0.01


@pytest.mark.parametrize("code", [3503, 4500, 1009])
async def test_it_stays_away_when_it_is_told_so(stand_in: StandIn, code: int) -> None:
    """It reconnected twice a second, however often a back end closed it."""
    asked = 0

    async def close(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.close(code=1013 if asked == 1 else code, message=b"go")
        return connection

    url = await stand_in(close)
    with pytest.raises(GatewayRefused, match=f"{url} closed with {code} go, which means: stay away"):
        await asyncio.wait_for(Tail(URL(url), None, first_delay_seconds=SHORT_SECONDS).run(), 10)
    assert asked == 2


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("hello", "hello"),
        ("", ""),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        ('{"雪": 1}', '{"雪": 1}'),
        (b"\x00\xff", "\x1b[2mbinary, 2 bytes: 00ff\x1b[0m"),
        (b"\x01" * 40, f"\x1b[2mbinary, 40 bytes: {'01' * 32}...\x1b[0m"),
    ],
)
def test_a_message_is_one_line(payload: str | bytes, expected: str) -> None:
    """Whatever is in it."""
    assert line(payload) == expected


def test_waits_grow_to_a_limit_and_differ() -> None:
    """Clients that lost the same gateway must not reconnect all at once."""
    for failures, longest in [(1, 0.5), (2, 1.0), (3, 2.0), (6, 15.0), (10_000, 15.0)]:
        waits = [backoff(failures) for _ in range(200)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) > 100


async def test_messages_are_printed_until_there_are_enough(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one more."""

    async def talk(request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.send_str("one")
        await connection.send_bytes(b"\xff")
        await connection.send_str("three")
        await connection.receive()
        return connection

    url = await stand_in(talk)
    await Tail(URL(url), 2).run()
    printed = capsys.readouterr()
    assert printed.out == "one\nbinary, 1 bytes: ff\n"
    assert printed.err == f"relay: listening to {url}\n"


async def test_it_reconnects_after_every_kind_of_break(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """After a temporary refusal, a close, a cut connection; each is reported with the delay."""
    calls = 0

    async def unsteady(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls == 1:
            return web.Response(status=503)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        if calls == 2:
            await connection.close(code=1001, message=b"going\x1b away")
        elif calls == 3:
            assert request.transport is not None
            request.transport.abort()
        else:
            await connection.send_str("at last")
            await connection.receive()
        return connection

    url = await stand_in(unsteady)
    await Tail(URL(url), 1, first_delay_seconds=SHORT_SECONDS).run()
    printed = capsys.readouterr()
    assert printed.out == "at last\n"
    told = [text for text in printed.err.splitlines() if "trying again in" in text]
    assert told[0].startswith(f"relay: {url} answered HTTP 503: it is full, ")
    assert "; trying again in 0." in told[0]
    assert told[1].startswith(f"relay: {url} closed with 1001 going\\x1b away; ")
    assert told[2].startswith(f"relay: {url} broke the connection; ")
    assert len(told) == 3


async def test_a_gateway_that_asks_for_time_gets_it(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """Retry-After of a refusal; anything but seconds is ignored."""
    calls = 0

    async def full(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls < 3:
            return web.Response(status=503, headers={"Retry-After": "1" if calls == 1 else "tomorrow"})
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.send_str("now")
        await connection.receive()
        return connection

    url = await stand_in(full)
    began = time.monotonic()
    await Tail(URL(url), 1, first_delay_seconds=SHORT_SECONDS).run()
    assert time.monotonic() - began >= 1.0
    assert "; trying again in 1.0 s" in capsys.readouterr().err


@pytest.mark.parametrize("status", [400, 401, 403, 404, 421])
async def test_a_refusal_for_good_ends_it(stand_in: StandIn, status: int) -> None:
    """Trying again would not help."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    with pytest.raises(GatewayRefused, match=f"answered HTTP {status}"):
        await Tail(URL(await stand_in(refuse)), None).run()


async def test_without_a_number_it_goes_on_until_it_is_refused(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as by another server that was started in place of the gateway."""
    calls = 0

    async def replaced(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls == 2:
            return web.Response(status=404)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.send_str("one")
        await connection.send_str("two")
        await connection.close()
        return connection

    with pytest.raises(GatewayRefused):
        await Tail(URL(await stand_in(replaced)), None, first_delay_seconds=SHORT_SECONDS).run()
    assert capsys.readouterr().out == "one\ntwo\n"


async def test_it_waits_for_a_gateway_that_is_not_there_yet(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be started first."""
    waits: list[float] = []
    tried = asyncio.Event()

    async def wait(delay: float) -> None:
        waits.append(delay)
        if len(waits) == 3:
            tried.set()
            await asyncio.Event().wait()

    tail = Tail(URL(f"ws://127.0.0.1:{free_port()}"), None, first_delay_seconds=SHORT_SECONDS, sleep=wait)
    task = asyncio.create_task(tail.run())
    await tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waits[0] < waits[2]
    assert capsys.readouterr().err.count("can't be reached: connection refused; trying again in") == 3


async def test_after_a_good_connection_delays_start_again(stand_in: StandIn) -> None:
    """Else they would grow with every daily restart of a gateway."""
    delays: list[float] = []

    async def note(delay: float) -> None:
        delays.append(delay)

    calls = 0

    async def close(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        if calls == 4:
            await connection.send_str("done")
        await connection.close(code=1001)
        return connection

    url = URL(await stand_in(close))
    await Tail(url, 1, first_delay_seconds=1.0, steady_seconds=-1.0, sleep=note).run()
    # A second failure in a row would make a longer one.
    assert [0.5 <= delay <= 1.0 for delay in delays] == [True] * 3


async def test_unread_output_is_no_error_at_the_end(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter flushes standard output when it ends, and would report that its reader is gone."""

    async def quiet(request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.receive()
        return connection

    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as output:
        output.write("unread")
        os.close(reader)
        monkeypatch.setattr("sys.stdout", output)
        await Tail(URL(await stand_in(quiet)), None).run()
        output.flush()


async def test_it_can_be_cancelled_at_the_moment_at_which_an_attempt_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets the cancellation then: it tried for ever, without a reader."""
    failing, entered = asyncio.Event(), asyncio.Event()

    async def fail(*_: object, **__: object) -> None:
        entered.set()
        await failing.wait()
        raise ClientConnectionError

    monkeypatch.setattr(ClientSession, "ws_connect", fail)
    task = asyncio.create_task(Tail(URL("http://127.0.0.1:1"), None)._follow())
    await entered.wait()
    failing.set()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE_SECONDS)
