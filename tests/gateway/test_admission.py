"""Who is let in: an authenticator of one's own, and rights, whichever way a client comes."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, Settings, protocols
from relay.auth.authenticator import Identity
from relay.errors import Refused
from relay.gateway.admission import Admission
from relay.gateway.eager_task import start_at_once
from relay.protocols.plain import Plain
from relay.protocols.request import ConnectRequest
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.harness.conditions import stays_true, wait_until
from tests.harness.http_response import HttpResponse, get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import PING, PONG, TEXT, RawWebSocket
from tests.harness.server_api import KEY, call

HOST = b"Host: relay.example\r\nOrigin: https://page.example\r\n"

WAYS = {
    "websocket": b"GET /ws/a HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "event stream": b"GET /sse/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "poll": b"GET /poll/a?wait=0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "publish": b"POST /publish/a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
}
"""The requests of all who want something of a channel."""

SUBSCRIBERS = ("websocket", "event stream", "poll")

every_way = pytest.mark.parametrize("way", WAYS)


class Authenticator:
    """Does what the test wants, and notes who has asked.

    Args:
        answer: called for each request.

    Attributes:
        asked: the paths of the requests.
        cancelled: how many answers were not waited for.
    """

    def __init__(self, answer: Callable[[], Identity | Awaitable[Identity]] = lambda: Identity("ann")) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.cancelled = 0

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """See `relay.auth.authenticator.Authenticator`."""
        self.asked.append(request.path)
        return self._answer()

    @classmethod
    def waiting_for(cls, event: asyncio.Event) -> Authenticator:
        """Return one that answers after an event."""

        async def wait() -> Identity:
            try:
                await event.wait()
            except asyncio.CancelledError:
                authenticator.cancelled += 1
                raise
            return Identity("ann")

        authenticator = cls(wait)
        return authenticator


class Rights:
    """Rights to nothing but what is named."""

    def __init__(self, *, subscribe: str = "", publish: str = "") -> None:
        self._subscribe, self._publish = subscribe, publish
        self.asked: list[tuple[str, str]] = []

    def may_subscribe(self, channel: str) -> bool:
        self.asked.append(("subscribe", channel))
        return channel == self._subscribe

    def may_publish(self, channel: str) -> bool:
        self.asked.append(("publish", channel))
        return channel == self._publish


@asynccontextmanager
async def guarded(authenticator: Authenticator, **settings: Any) -> AsyncIterator[Gateway]:
    """Run a gateway with an authenticator; check that nothing waits in it at the end."""
    given = {"port": 0, "drain_seconds": 0, "ping_interval": 3600, "allowed_origins": ("https://page.example",)}
    async with Gateway(Settings(**{**given, **settings}), authenticator=authenticator) as gateway:
        parts = parts_of(gateway)
        yield gateway
        await wait_until(lambda: not parts.front_door._waiting)


async def ask(client: RawWebSocket, way: str) -> HttpResponse:
    """Send a request, and return its answer."""
    await client.send(WAYS[way])
    return await client.response()


def success(way: str) -> int:
    """Return the status of those who are let in."""
    return 101 if way == "websocket" else 200


def refusals(gateway: Gateway, way: str) -> dict[str, int]:
    """Return how many were refused, by reason; messages by their status."""
    counted = gateway.counters.api_requests if way == "publish" else gateway.counters.connections_refused
    return dict(counted)


def nothing_is_left(gateway: Gateway) -> bool:
    """Return whether no client and no request has left anything."""
    parts = parts_of(gateway)
    return (
        len(parts.context.registry) == 0
        and len(parts.front_door.http.connections) == 0
        and parts.context.node.interests == 0
        and not parts.front_door._waiting
    )


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
        more = b"\x89\x80\0\0\0\0" if way == "websocket" else b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
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
        faults = [record for record in caplog.records if record.exc_info]
        assert len(faults) == 1
        await wait_until(lambda: nothing_is_left(gateway))
        assert (await get(gateway.port, "/healthz")).status == 200


@every_way
async def test_one_that_answers_nonsense(way: str, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = Authenticator(lambda: None)  # type: ignore[arg-type, return-value]
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        assert (await ask(client, way)).status == 500
        assert len([record for record in caplog.records if record.exc_info]) == 1


@every_way
async def test_a_client_that_leaves_meanwhile_leaves_nothing(way: str, caplog: pytest.LogCaptureFixture) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, handshake_timeout=60) as gateway:
        for number in range(3):
            async with RawWebSocket(gateway.port) as client:
                await client.send(WAYS[way])
                await wait_until(lambda number=number: len(authenticator.asked) == number + 1)
                client.abort()
            await wait_until(lambda number=number: authenticator.cancelled == number + 1)
        await wait_until(lambda: nothing_is_left(gateway))
        event.set()
        assert gateway.counters.connections_accepted == 0
        assert gateway.counters.messages_received == 0
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_the_bus_may_take_no_longer_than_a_handshake(way: str, late_bus: LateBus) -> None:
    """Clients give up by themselves otherwise, and are told nothing."""
    async with guarded(Authenticator(), handshake_timeout=0.2, broker_timeout=60) as gateway:
        async with RawWebSocket(gateway.port) as client:
            response = await ask(client, way)
        assert (response.status, response.text) == (503, "the bus did not acknowledge the subscription in time\n")
        assert refusals(gateway, way) == {"bus_timeout": 1}
        assert late_bus.callbacks_of("a") == 0


@every_way
async def test_a_drain_does_not_wait_for_it(way: str, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = Authenticator.waiting_for(asyncio.Event())
    async with guarded(authenticator, handshake_timeout=60) as gateway, RawWebSocket(gateway.port) as client:
        parts = parts_of(gateway)
        await client.send(WAYS[way])
        await wait_until(lambda: authenticator.asked)
        async with asyncio.timeout(10):
            await gateway.drain()
        if way in ("websocket", "event stream"):
            response = await client.response()
            assert (response.status, response.text) == (503, "this gateway is shutting down\n")
            assert refusals(gateway, way) == {"draining": 1}
        else:
            await client.end()
        await wait_until(lambda: authenticator.cancelled == 1)
        assert parts.context.node.interests == 0
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_one_that_answers_during_a_drain_lets_nobody_in(way: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway, RawWebSocket(gateway.port) as client:
        await client.send(WAYS[way])
        await wait_until(lambda: authenticator.asked)
        parts_of(gateway).context.registry.draining = True
        event.set()
        assert (await client.response()).status == 503
        assert refusals(gateway, way) == {"draining": 1}


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_places_are_given_to_those_who_were_identified(way: str) -> None:
    """Who waits has no place yet; so of two who wait for the last one, one is refused."""
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with (
        guarded(authenticator, max_connections=1) as gateway,
        RawWebSocket(gateway.port) as one,
        RawWebSocket(gateway.port) as other,
    ):
        for client in (one, other):
            await client.send(WAYS[way])
        await wait_until(lambda: len(authenticator.asked) == 2)
        event.set()
        statuses = sorted([(await client.response()).status for client in (one, other)])
        assert statuses == [success(way), 503]
        assert refusals(gateway, way) == {"full": 1}


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_of_two_who_wait_for_the_bus_one_gets_the_last_place(way: str, late_bus: LateBus) -> None:
    async with guarded(Authenticator(), max_connections=1) as gateway:
        async with RawWebSocket(gateway.port) as one, RawWebSocket(gateway.port) as other:
            for client in (one, other):
                await client.send(WAYS[way])
            await wait_until(lambda: late_bus.callbacks_of("a") == 2)
            late_bus.acknowledge("a")
            statuses = sorted([(await client.response()).status for client in (one, other)])
            assert statuses == [success(way), 503]
        assert gateway.counters.connections_accepted == 1
        late_bus.futures.clear()


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_a_client_that_the_bus_refuses_takes_no_place_from_another(way: str, late_bus: LateBus) -> None:
    """Idle polling clients give up their places to newcomers, but not to one that can't come in."""
    async with (
        guarded(Authenticator(), max_connections=4) as gateway,
        RawWebSocket(gateway.port) as client,
        RawWebSocket(gateway.port) as one,
        RawWebSocket(gateway.port) as other,
    ):
        await client.send(WAYS[way])
        await wait_until(lambda: late_bus.callbacks_of("a") == 1)
        late_bus.futures["b"] = asyncio.get_running_loop().create_future()
        late_bus.futures["b"].set_result(None)
        for _ in range(2):
            assert (await get(gateway.port, "/poll/b?wait=0")).status == 200
        for websocket in (one, other):
            assert (await websocket.upgrade("/ws/b", "Origin: https://page.example")).status == 101
        late_bus.refuse("a")
        response = await client.response()
        assert (response.status, response.text) == (503, "the bus refused the subscription\n")
        assert refusals(gateway, way) == {"bus_refused": 1}
        assert (gateway.counters.polls_evicted, gateway.counters.connections_open) == (0, 4)
        late_bus.futures.clear()


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_the_bus_has_no_longer_than_the_handshake(way: str, late_bus: LateBus) -> None:
    async with (
        guarded(Authenticator(), handshake_timeout=0.2, broker_timeout=60) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        response = await ask(client, way)
        assert (response.status, refusals(gateway, way)) == (503, {"bus_timeout": 1})


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_the_right_to_subscribe_is_asked_for(way: str) -> None:
    for name, status in (("a", success(way)), ("b", 403)):
        rights = Rights(subscribe=name)
        async with (
            guarded(Authenticator(lambda rights=rights: Identity("ann", rights))) as gateway,  # type: ignore[misc]
            RawWebSocket(gateway.port) as client,
        ):
            response = await ask(client, way)
            assert response.status == status
            assert rights.asked == [("subscribe", "a")]
            if status == 403:
                assert "you may not subscribe to this channel" in response.text
                assert refusals(gateway, way) == {"forbidden": 1}
                assert parts_of(gateway).context.node.interests == 0
                if way != "websocket":
                    assert response.headers["access-control-allow-origin"] == "https://page.example"


async def test_the_right_to_publish_is_asked_for_by_http() -> None:
    for name, status in (("a", 200), ("b", 403)):
        rights = Rights(publish=name)
        async with (
            guarded(Authenticator(lambda rights=rights: Identity("ann", rights))) as gateway,  # type: ignore[misc]
            RawWebSocket(gateway.port) as client,
        ):
            response = await ask(client, "publish")
            assert response.status == status
            assert rights.asked == [("publish", "a")]
            assert gateway.counters.messages_received == (status == 200)
            if status == 403:
                assert "you may not publish to this channel" in response.text


async def test_the_right_to_publish_is_asked_for_with_each_message_of_a_websocket() -> None:
    """A plain client can't be told otherwise than by its close."""
    rights = Rights(subscribe="a", publish="b")
    async with (
        guarded(Authenticator(lambda: Identity("ann", rights))) as gateway,
        RawWebSocket(gateway.port) as client,
        RawWebSocket(gateway.port) as listener,
    ):
        for one in (client, listener):
            assert (await ask(one, "websocket")).status == 101
        await client.send_frame(TEXT, b"hello")
        await client.send_frame(TEXT, b"again")
        assert await client.close_frame() == (1008, "not allowed")
        assert rights.asked == [("subscribe", "a"), ("subscribe", "a"), ("publish", "a")]
        assert gateway.counters.disconnects == {"NOT_ALLOWED": 1}
        assert gateway.counters.messages_received == 0
        await listener.send_frame(PING)
        assert (await listener.frame()).opcode == PONG


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


@pytest.mark.parametrize("good", [0, 200], ids=["at once", "in a later turn"])
async def test_rights_that_fail_end_the_client(good: int, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Rights):
        def may_publish(self, channel: str) -> bool:
            self.asked.append(("publish", channel))
            if len(self.asked) > good + 1:
                raise ZeroDivisionError("a fault of its own")
            return True

    rights = Faulty(subscribe="a")
    async with (
        guarded(Authenticator(lambda: Identity("ann", rights))) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        assert (await ask(client, "websocket")).status == 101
        await client.send(b"\x81\x81\0\0\0\0a" * (good + 10))
        await client.end()
        await wait_until(lambda: nothing_is_left(gateway))
        assert gateway.counters.messages_received == good
        assert gateway.counters.connections_closed == {1006: 1}
        assert len(rights.asked) == good + 2, "what came behind is ignored"
        assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_rights_of_a_multiplexed_client_are_asked_for_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    event = asyncio.Event()
    event.set()
    rights = Rights(subscribe="a", publish="b")

    async def identify() -> Identity:
        await event.wait()
        return Identity("ann", rights)

    async with guarded(Authenticator(identify)) as gateway, RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed", "Origin: https://page.example")).status == 101
        assert rights.asked == []
        for request in (
            {"id": 1, "subscribe": "a"},
            {"id": 2, "subscribe": "b"},
            {"id": 3, "publish": {"channel": "a", "data": 1}},
        ):
            await client.send_frame(TEXT, json.dumps(request).encode())
        assert [json.loads((await client.frame()).payload) for _ in range(3)] == [
            {"id": 1, "ok": True},
            {"id": 2, "error": "you may not subscribe to this channel"},
            {"id": 3, "error": "you may not publish to this channel"},
        ]
        assert rights.asked == [("subscribe", "a"), ("subscribe", "b"), ("publish", "a")]


async def test_back_ends_have_their_keys_and_need_no_rights() -> None:
    authenticator = Authenticator(lambda: Identity("ann", Rights()))
    async with guarded(authenticator, api_keys=(KEY,)) as gateway:
        assert await call(gateway.port, "publish", {"channel": "a", "data": 1}) == {"result": {}}
        await gateway.publish("a", "from the program around it")
    assert authenticator.asked == []


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
        (b"Host: relay.example\r\n", b"Host: \xff\r\n", 400),
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
    """A task costs more than the rest of the admission; see `relay.gateway.eager_task`."""
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
        context = parts_of(gateway).context
        admission = Admission(Authenticator(lambda: question), context.registry, context.node, 1.0)
        request = ConnectRequest("/ws/a", {}, {}, "")

        async def admit() -> None:
            await admission.admit(request, Plain("a", echo=False))

        task = start_at_once(admit())
        assert task is not None
        task.cancel()
        await asyncio.wait([task])
        assert inspect.getcoroutinestate(question) == inspect.CORO_CLOSED
        assert context.node.interests == 0


async def test_many_who_wait_are_let_in_together_and_leave_nothing() -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator) as gateway:
        clients = [RawWebSocket(gateway.port) for _ in range(40)]
        try:
            for number, client in enumerate(clients):
                await client.__aenter__()
                await client.send(WAYS[("websocket", "event stream")[number % 2]])
            await wait_until(lambda: len(authenticator.asked) == 40)
            for client in clients[::4]:
                client.abort()
            await wait_until(lambda: authenticator.cancelled == 10)
            assert await stays_true(lambda: len(parts_of(gateway).context.registry) == 0, 0.05)
            event.set()
            await wait_until(lambda: len(parts_of(gateway).context.registry) == 30)
        finally:
            for client in clients:
                client.close()
        await wait_until(lambda: nothing_is_left(gateway))
        assert gateway.counters.connections_accepted == 30
