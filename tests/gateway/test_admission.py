"""Who a client is: the authenticator, at every way in."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import pytest

from relay.auth.authenticator import Identity
from relay.clients.eager_task import start_at_once
from relay.errors import Refused
from relay.gateway.admission import Admission
from relay.gateway.authentication import Authentication
from relay.protocols.plain import Plain
from relay.protocols.request import ConnectRequest
from tests.clients.late_bus import late_bus as late_bus
from tests.gateway.admissions import (
    HOST,
    WAYS,
    Authenticator,
    ask,
    every_way,
    guarded,
    nothing_is_left,
    refusals,
    success,
)
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import PONG, RawWebSocket


@every_way
async def test_one_that_answers_at_once(way: str) -> None:
    authenticator = Authenticator()
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        assert (await ask(client, way)).status == success(way)
        assert authenticator.asked == [WAYS[way].split()[1].decode().partition("?")[0]]
        assert [member.session.user for member in parts_of(gateway).context.registry] == ["ann"] * (way != "publish")
        assert gateway.counters.connections_accepted == (way != "publish")


@every_way
async def test_one_that_needs_time(way: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client, RawWebSocket(gateway.port) as b:
        await client.send(WAYS[way])
        await b.send(WAYS[way])
        await wait_until(lambda: len(authenticator.asked) == 2)
        assert len(parts_of(gateway).context.registry) == 0
        assert parts_of(gateway).context.node.interests == 0
        event.set()
        for one in (client, b):
            assert (await one.response()).status == success(way)
    assert authenticator.cancelled == 0


@every_way
async def test_what_comes_while_it_takes_its_time_is_not_lost(way: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        more = b"\x89\x80\0\0\0\0" if way == "websocket" else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await client.send(WAYS[way] + more)
        await wait_until(lambda: authenticator.asked)
        event.set()
        assert (await client.response()).status == success(way)
        if way == "websocket":
            assert (await client.frame()).opcode == PONG
        elif way in ("poll", "publish"):
            assert (await client.response()).json == {"status": "alive"}


@every_way
@pytest.mark.parametrize("kind", ["coroutine", "future"])
async def test_one_that_never_answers(way: str, kind: str) -> None:
    never = asyncio.Event()
    authenticator = Authenticator.waiting_for(never)
    futures: list[asyncio.Future[Identity]] = []

    def forever() -> Awaitable[Identity]:
        futures.append(asyncio.get_running_loop().create_future())
        return futures[-1]

    if kind == "future":
        authenticator = Authenticator(forever)
    async with guarded(authenticator, handshake_timeout=0.2) as gateway, RawWebSocket(gateway.port) as client:
        response = await ask(client, way)
        assert response.status == 503
        assert "could not be identified in time" in response.text
        assert "retry-after" in response.headers
        assert refusals(gateway, way) == {"http_publish 503" if way == "publish" else "authentication_timeout": 1}
        assert authenticator.cancelled == (kind == "coroutine")
        assert all(future.cancelled() for future in futures)
        client.close()
        await wait_until(lambda: nothing_is_left(gateway))


@every_way
@pytest.mark.parametrize("waits", [False, True])
async def test_one_that_refuses(way: str, waits: bool) -> None:
    """With what the client needs to do better, and what a page needs to read it."""
    refusal = Refused(401, "who are you?", {"WWW-Authenticate": "Bearer"})

    async def refuse() -> Identity:
        await asyncio.sleep(0)
        raise refusal

    def refuse_at_once() -> Identity:
        raise refusal

    authenticator = Authenticator(refuse if waits else refuse_at_once)
    async with guarded(authenticator) as gateway:
        for _ in range(2):
            async with RawWebSocket(gateway.port) as client:
                response = await ask(client, way)
                assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
                assert "who are you?" in response.text
                if way != "websocket":
                    assert response.headers["access-control-allow-origin"] == "https://page.example"
        assert refusals(gateway, way) == {"http_publish 401" if way == "publish" else "unauthorized": 2}
        assert refusal.headers == {"WWW-Authenticate": "Bearer"}, "it may be raised again"
        await wait_until(lambda: nothing_is_left(gateway))


@every_way
@pytest.mark.parametrize("waits", [False, True])
async def test_one_that_is_broken(way: str, waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> Identity:
        await asyncio.sleep(0)
        raise ZeroDivisionError("a fault of its own")

    def fail_at_once() -> Identity:
        raise ZeroDivisionError("a fault of its own")

    async with guarded(Authenticator(fail if waits else fail_at_once)) as gateway:
        async with RawWebSocket(gateway.port) as client:
            response = await ask(client, way)
            assert response.status == 500
            assert "a fault of its own" not in response.text
            await client.end()
        (entry,) = [record.getMessage() for record in caplog.records]
        assert entry.startswith("authenticator failed remote=127.0.0.1 why=ZeroDivisionError stack=")
        assert "a fault of its own" not in entry, "it may hold what the client has sent"
        await wait_until(lambda: nothing_is_left(gateway))
        assert (await get(gateway.port, "/healthz")).status == 200


@every_way
async def test_one_that_answers_nonsense(way: str, caplog: pytest.LogCaptureFixture) -> None:
    async def nothing() -> None:
        pass

    for answer in (lambda: None, nothing):
        authenticator = Authenticator(answer)  # type: ignore[arg-type]
        async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
            assert (await ask(client, way)).status == 500
    entries = [record.getMessage() for record in caplog.records]
    assert len([entry for entry in entries if "authenticator failed" in entry]) == len(entries) == 2
    assert "it must return an Identity, not NoneType" in entries[1]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_fault_while_the_socket_changes_hands_ends_the_client(
    waits: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was let in, so it is no refusal; and it must not stay as a client that is not read."""

    def fail(*_: object) -> bytes:
        raise ZeroDivisionError("a fault of the protocol")

    async def identify() -> Identity:
        return Identity("ann")

    monkeypatch.setattr(Plain, "opened", fail)
    async with (
        guarded(Authenticator(identify if waits else lambda: Identity("ann"))) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        await client.send(WAYS["websocket"])
        await client.end()
        await wait_until(lambda: nothing_is_left(gateway))
        counters = gateway.counters
        assert (counters.connections_open, counters.connections_accepted) == (0, 1)
        assert (counters.connections_closed, counters.connections_refused) == ({1006: 1}, {})
        assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_it_is_not_asked_about_what_is_no_clients_business() -> None:
    authenticator = Authenticator()
    async with guarded(authenticator) as gateway:
        for target in ("/healthz", "/readyz", "/metrics", "/", "/nowhere", "/ws/a", "/demo"):
            await get(gateway.port, target)
        async with RawWebSocket(gateway.port) as client:
            await client.send(
                b"OPTIONS /publish/a HTTP/1.1\r\n" + HOST + b"Access-Control-Request-Method: POST\r\n\r\n"
            )
            assert (await client.response()).status == 204
    assert authenticator.asked == []


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"/a", b"/a%20b", 400),
        (b"/a", b"/a?user=%ff", 400),
        (b"page.example", b"other.example", 403),
        (b"Host: localhost\r\n", b"Host: \xff\r\n", 400),
    ],
    ids=["channel", "query", "origin", "host"],
)
@every_way
async def test_it_is_not_asked_about_requests_that_are_not_in_order(
    way: str, old: bytes, new: bytes, status: int
) -> None:
    authenticator = Authenticator()
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        head, separator, rest = WAYS[way].partition(b"?wait=0" if b"?user" in new else b"\0")
        await client.send((head + rest if separator else head).replace(old, new, 1))
        assert (await client.response()).status == status
    assert authenticator.asked == []


@pytest.mark.parametrize("way", ["websocket", "event stream"])
async def test_a_handshake_that_has_nothing_to_wait_for_is_no_task(way: str) -> None:
    """A task costs more than the rest of the admission; see `relay.clients.eager_task`."""
    loop = asyncio.get_running_loop()
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    event = asyncio.Event()
    event.set()
    for authenticator, tasks in ((Authenticator(), 0), (Authenticator.waiting_for(event), 1)):
        async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
            front_door = parts_of(gateway).front_door
            await wait_until(lambda front_door=front_door: len(front_door.http.connections) == 1)
            made.clear()
            loop.set_task_factory(factory)
            try:
                before = asyncio.all_tasks()
                assert (await ask(client, way)).status == success(way)
                assert asyncio.all_tasks() == before
            finally:
                loop.set_task_factory(None)
            handshakes = [coroutine for coroutine in made if "_Started" in type(coroutine).__name__]
            assert len(handshakes) == tasks, made
            assert len(made) <= tasks, made


async def test_a_question_that_was_never_asked_is_closed() -> None:
    """A client leaves in the tick of its request: the coroutine of its authenticator has not begun, and is closed."""

    async def answer() -> Identity:
        return Identity("ann")

    async with guarded(Authenticator()) as gateway:
        question = answer()
        context, limits = parts_of(gateway).context, parts_of(gateway).front_door.limits
        blocked_users = parts_of(gateway).control.blocked_users
        registry, node = context.registry, context.node
        authentication = Authentication(Authenticator(lambda: question), limits.failures, blocked_users, 1.0)
        sessions = parts_of(gateway).front_door.admission.sessions
        admission = Admission(authentication, registry, node, limits, sessions)
        request = ConnectRequest("/ws/a", {}, {}, "")

        async def admit() -> None:
            await admission.admit(request, Plain("a", echo=False))

        task = start_at_once(admit())
        assert task is not None
        task.cancel()
        await asyncio.wait([task])
        assert inspect.getcoroutinestate(question) == inspect.CORO_CLOSED
        assert context.node.interests == 0
