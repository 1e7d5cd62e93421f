"""What the JavaScript client makes of servers, and things in front of them, that say no or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port
from tests.web.client.conftest import Connect
from tests.web.client.driven import DrivenClient
from tests.web.client.engines import MODULE, Engine
from tests.web.client.scripted_server import STREAM, Answer, ScriptedServer

# A browser shows headers and answers of another site to no page, unless they say so.
pytestmark = pytest.mark.parametrize("engine", ["node"], indirect=True)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that takes no WebSockets, has streams, and takes messages."""
    with ScriptedServer() as running:
        yield running


@contextmanager
def blocked(engine: Engine) -> Iterator[None]:
    """Let all plain requests fail, as by a page's Content-Security-Policy that allows WebSockets alone."""
    engine.evaluate("() => { globalThis.asked = fetch; globalThis.fetch = () => Promise.reject(new TypeError('no')); }")
    try:
        yield
    finally:
        engine.evaluate("() => { globalThis.fetch = globalThis.asked; }")


@contextmanager
def without_chance(engine: Engine) -> Iterator[None]:
    """Let clients wait for half of the longest pause, by a clock that stands still."""
    engine.evaluate("""() => {
        globalThis.kept = [Math.random, Date.now];
        const now = Date.now();
        [Math.random, Date.now] = [() => 0.5, () => now];
    }""")
    try:
        yield
    finally:
        engine.evaluate("() => { [Math.random, Date.now] = globalThis.kept; }")


def pause_of(client: DrivenClient, times: int = 1) -> float:
    """Return for how long it waits, in ms."""
    state = client.is_now("waiting", times)
    told: dict[str, Any] = next(one for one in client.told if one.get("state") == state)
    return float(state["until"] - told["at"])


def return_of(client: DrivenClient) -> None:
    """Wait until a client is open, without its pauses."""

    def opens() -> bool:
        client.start()
        return bool(client.now("state")["name"] == "open")

    wait_until_blocking(opens, what="it is back")


@pytest.mark.parametrize("transport", ["websocket", "auto"])
@pytest.mark.parametrize("fault", ["policy", "proxy"])
def test_plain_requests_that_fail_do_not_keep_it_from_websockets(
    engine: Engine, connect: Connect, transport: str, fault: str
) -> None:
    """After an outage; a policy of the page may forbid them, or a proxy may pass on WebSockets alone."""
    port = free_port()
    client = connect(f"ws://127.0.0.1:{port}/ws/a", transport=transport)
    for times in range(1, 7):
        client.is_now("waiting", times)
        client.start()
    with ScriptedServer(port) as server:
        server.websockets, server.gets = True, Answer(503)
        if fault == "proxy":
            return_of(client)
        else:
            with blocked(engine):
                return_of(client)
        client.stop()


@pytest.mark.parametrize(
    ("header", "pause"),
    [("0", 250), ("-5", 250), ("", 250), ("3000000", 250), ("7", 7250), ("999999", 3_600_250)],
)
def test_a_wish_of_the_server_adds_to_the_usual_pause(
    engine: Engine, connect: Connect, server: ScriptedServer, header: str, pause: int
) -> None:
    """Else all clients came back together, or without a pause. What is no number of seconds is no wish."""
    server.gets = Answer(503, {"Retry-After": header})
    with without_chance(engine):
        client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events")
        assert pause_of(client) == pause
        client.stop()


@pytest.mark.parametrize(
    ("header", "wish"), [("0", 0), ("7", 7000), ("-5", None), ("", None), ("3000000", None), ("999999", 3_600_000)]
)
def test_a_wish_is_read_in_seconds_and_bounded(engine: Engine, header: str, wish: int | None) -> None:
    """Also where a message is refused. A timer of JavaScript that is set for longer than 24 days fires at once."""
    script = """async ([module, wish]) => {
        const { refusalOf } = await import(module);
        const refused = new Response("", { status: 503, headers: { "Retry-After": wish } });
        return (await refusalOf(refused, true)).retryAfter ?? null;
    }"""
    assert engine.evaluate(script, [(MODULE.parent / "request.js").as_uri(), header]) == wish


def test_a_message_that_would_wait_too_long_ends_the_connection(connect: Connect, server: ScriptedServer) -> None:
    """At once, and the client keeps to the wish."""
    server.posts = Answer(503, {"Retry-After": "3600"}, "in an hour")
    client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events")
    client.is_now("open")
    client.send("hello")
    assert pause_of(client) > 3_590_000
    loss = client.is_now("waiting")
    assert (loss["opened"], loss["code"], loss["status"], loss["reason"]) == (True, 1013, 503, "in an hour")
    assert server.posted == ["hello"]


def test_messages_keep_their_order_when_it_comes_back(connect: Connect, server: ScriptedServer) -> None:
    """And the bound of what may wait holds for all of them."""
    server.posting.clear()
    client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events", maxBufferedBytes=3)
    client.is_now("open")
    client.send("1", "2")
    wait_until_blocking(lambda: server.posted == ["1"], what="the first one is posted")
    server.cut()
    client.is_now("waiting")
    client.start()
    client.is_now("open", 2)
    client.send("3")
    assert client.do("send", "4") == "too much is waiting to be sent"
    server.posting.set()
    wait_until_blocking(lambda: len(server.posted) == 3, what="all are posted")
    assert server.posted == ["1", "2", "3"]


def test_without_a_connection_none_has_ended(connect: Connect) -> None:
    """So nothing can have been missed."""
    client = connect(f"ws://127.0.0.1:{free_port()}/ws/a")
    client.do("renew", "dead", 60_000)
    client.stop()
    assert {state["name"]: state["opened"] for state in client.states if "opened" in state} == {
        "waiting": False,
        "closed": False,
    }


def test_an_empty_position_is_none(connect: Connect, server: ScriptedServer) -> None:
    """The server isn't asked to go on anywhere, so nothing goes on; nor is anything missed at the first time."""
    client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events", since="")
    client.is_now("open")
    assert client.missed == []
    server.cut()
    client.is_now("waiting")
    client.start()
    client.is_now("open", 2)
    wait_until_blocking(lambda: client.missed == [None], what="it is told")


def test_a_message_without_a_position_has_not_that_of_another_one(connect: Connect, server: ScriptedServer) -> None:
    server.gets = Answer(200, STREAM.headers, "id: e:1\ndata: kept\n\ndata: not kept\n\n")
    client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events")
    client.is_now("waiting")
    heard = [one for one in client.told if "data" in one]
    assert heard == [{"data": "kept", "position": "e:1"}, {"data": "not kept", "position": None}]
    assert client.now("position") == "e:1"


def test_nothing_is_passed_on_to_whom_a_redirect_names(connect: Connect, server: ScriptedServer) -> None:
    elsewhere = {"Location": "/elsewhere"}
    server.posts = Answer(307, elsewhere)
    client = connect(f"http://127.0.0.1:{server.port}/ws/a", transport="events")
    client.is_now("open")
    client.send("hello")
    server.was_asked(3)
    server.gets = Answer(307, elsewhere)
    server.cut()
    client.is_now("waiting")
    client.start()
    client.is_now("waiting", 2)
    assert set(server.asked) == {"/sse/a", "/publish/a"}


@pytest.mark.parametrize("transport", ["websocket", "auto"])
@pytest.mark.parametrize("status", [404, 405, 503])
def test_a_host_without_events_may_have_websockets(
    connect: Connect, server: ScriptedServer, transport: str, status: int
) -> None:
    """As where a proxy passes on WebSockets alone. What it says of events is no reason to stay away."""
    server.gets = Answer(status, body="not here")
    client = connect(f"ws://127.0.0.1:{server.port}/ws/a", transport=transport)
    refused = client.is_now("waiting")
    assert (refused["opened"], refused["status"], refused["reason"]) == (False, status, "not here")
    server.websockets = True
    return_of(client)


@pytest.mark.parametrize("status", [401, 403])
def test_where_websockets_have_worked_a_refusal_is_told_but_not_final(
    connect: Connect, server: ScriptedServer, status: int
) -> None:
    """It may be that of another program behind the same proxy, while the gateway restarts."""
    server.websockets, server.gets = True, Answer(status, body="log in")
    client = connect(f"ws://127.0.0.1:{server.port}/ws/a", "a token", transport="websocket")
    client.is_now("open")
    server.websockets = False
    server.cut()
    for times in (1, 2):
        client.is_now("waiting", times)
        client.start()
    refused = client.is_now("waiting", 3)
    assert (refused["status"], refused["reason"]) == (status, "log in")
    server.websockets = True
    return_of(client)
