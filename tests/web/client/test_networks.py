"""What the JavaScript client makes of bad networks, of hints that they are better, and of what can't be sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess
from tests.harness.picky_proxy import PickyProxy
from tests.web.client.conftest import Connect, Start
from tests.web.client.engines import Engine
from tests.web.client.surroundings import kill, publish

in_a_page = pytest.mark.parametrize("engine", ["page"], indirect=True)
by_a_clock = pytest.mark.parametrize("engine", ["timed"], indirect=True)
both = pytest.mark.parametrize("transport", ["websocket", "events"])


def pass_time(engine: Any, seconds: float) -> None:
    """Let the clock of a page jump."""
    engine.clock.fast_forward(int(seconds * 1000))


@contextmanager
def without_chance(engine: Engine) -> Iterator[None]:
    """Let clients wait as long as they may."""
    engine.evaluate("() => { globalThis.random = Math.random; Math.random = () => 0.999; }")
    yield
    engine.evaluate("() => { Math.random = globalThis.random; }")


@by_a_clock
def test_a_websocket_that_gets_no_answer_gives_way_to_events(
    engine: Any, connect: Connect, home: GatewayProcess, channel: str
) -> None:
    """After four seconds; and after one when it is already known. Once WebSockets get through, they are taken again."""
    with PickyProxy(home.port) as proxy:
        proxy.upgrades = "hold"
        engine.clock.pause_at(engine.evaluate("() => Date.now() + 1"))
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}")
        for times, seconds in enumerate((4, 1), 1):
            wait_until_blocking(lambda: proxy.held == 1, what="the WebSocket is asked for")
            pass_time(engine, seconds)
            assert client.is_now("open", times)["transport"] == "events"
            client.do("renew", "again", 0)
            pass_time(engine, 0.001)
        proxy.upgrades = "pass"
        proxy.cut()
        pass_time(engine, 1)
        client.is_now("open", 3)
        client.do("renew", "again", 0)
        pass_time(engine, 0.001)
        assert client.is_now("open", 4)["transport"] == "websocket"
        engine.clock.resume()


@by_a_clock
def test_it_goes_from_one_way_to_the_other_and_hears_nothing_twice(
    engine: Engine, connect: Connect, home: GatewayProcess, channel: str
) -> None:
    """Where WebSockets have worked one that fails is a gateway that restarts, until the second one in a row."""
    with PickyProxy(home.port) as proxy:
        proxy.upgrades = "refuse"
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}")
        assert client.is_now("open")["transport"] == "events"
        publish(home, channel, "0")
        client.hears("0")
        proxy.upgrades = "pass"
        proxy.cut()
        assert client.is_now("open", 2)["transport"] == "websocket"
        publish(home, channel, "1")
        client.hears("0", "1")
        assert (client.now("position"), client.missed) == (None, [None])
        pass_time(engine, 5)  # so the next loss is a first one
        proxy.upgrades = "refuse"
        proxy.cut()
        assert client.is_now("waiting", 2)["opened"] is True
        client.start()
        assert client.is_now("waiting", 3)["opened"] is False
        client.start()
        assert client.is_now("open", 3)["transport"] == "events"
        publish(home, channel, "2")
        client.hears("0", "1", "2")
        assert client.missed == [None, None]


@pytest.mark.parametrize("engine", ["node"], indirect=True)
@pytest.mark.parametrize("transport", ["auto", "events"])
def test_a_full_gateway_says_when_to_come_back(connect: Connect, start: Start, transport: str) -> None:
    """In Node, as a browser shows the header of another site to no page."""
    gateway = start(max_connections=1)
    url = f"ws://127.0.0.1:{gateway.port}/ws/a"
    first = connect(url)
    first.is_now("open")
    second = connect(url, transport=transport)
    refused = second.is_now("waiting")
    assert (refused["opened"], refused["status"]) == (False, 503)
    assert refused["reason"]
    told = next(one for one in second.told if one.get("state") == refused)
    assert refused["until"] - told["at"] >= 999  # the clock may turn over between its two readings
    first.stop()
    second.start()
    second.is_now("open")


@by_a_clock
def test_a_stream_that_falls_silent_is_given_up(
    engine: Engine, connect: Connect, home: GatewayProcess, channel: str
) -> None:
    client = connect(f"ws://127.0.0.1:{home.port}/ws/{channel}", transport="events")
    client.is_now("open")
    pass_time(engine, 70)
    assert client.now("state")["name"] == "open"
    pass_time(engine, 10)
    loss = client.is_now("waiting")
    assert (loss["opened"], loss["code"], loss["reason"]) == (True, 1006, "nothing heard")


@by_a_clock
def test_a_message_that_cannot_be_published_ends_the_connection(
    engine: Engine, connect: Connect, home: GatewayProcess, channel: str
) -> None:
    """After half a minute; it may or may not have been published, as after a lost WebSocket."""
    with PickyProxy(home.port) as proxy:
        proxy.answers_to_lose = 1000
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}", transport="events")
        client.is_now("open")
        client.send("hello", "there")
        client.hears("hello")

        def lost() -> bool:
            pass_time(engine, 2)
            return any(state["name"] == "waiting" for state in client.states)

        wait_until_blocking(lost, what="it gives up")
        loss = client.is_now("waiting")
        assert (loss["opened"], loss["code"], loss["reason"]) == (True, 1013, "the server can't be reached")
        assert client.data == ["hello"]


@in_a_page
def test_a_message_whose_answer_got_lost_is_published_once(
    connect: Connect, home: GatewayProcess, channel: str
) -> None:
    """It is sent again with the same key."""
    with PickyProxy(home.port) as proxy:
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}", transport="events")
        client.is_now("open")
        proxy.answers_to_lose = 2
        client.send("0", "1", "2")
        client.hears("0", "1", "2")
        assert proxy.answers_to_lose == 0


@in_a_page
def test_what_is_sent_before_it_stops_arrives(connect: Connect, home: GatewayProcess, channel: str) -> None:
    listener = connect(f"ws://127.0.0.1:{home.port}/ws/{channel}")
    client = connect(f"ws://127.0.0.1:{home.port}/ws/{channel}", transport="events")
    listener.is_now("open")
    client.is_now("open")
    client.send("0", "1", "2")
    client.stop()
    listener.hears("0", "1", "2")


@pytest.mark.parametrize("engine", ["node"], indirect=True)
def test_the_page_of_a_captive_network_is_no_stream(connect: Connect, home: GatewayProcess, channel: str) -> None:
    """It waits until the network is better. In Node, as a browser shows such an answer to no page of another site."""
    with PickyProxy(home.port) as proxy:
        proxy.upgrades, proxy.captive = "refuse", True
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}")
        assert client.is_now("waiting")["opened"] is False
        proxy.captive = False
        assert client.is_now("open")["transport"] == "events"


@pytest.mark.parametrize("engine", ["page", "worker"], indirect=True)
def test_when_the_network_is_back_it_connects_at_once(engine: Engine, connect: Connect, start: Start) -> None:
    port = free_port()
    client = connect(f"ws://127.0.0.1:{port}/ws/a", transport="websocket")
    client.is_now("waiting")
    times = len(client.states)
    engine.evaluate("() => globalThis.dispatchEvent(new Event('online'))")
    assert client.states[times] == {"name": "connecting"}


@in_a_page
@pytest.mark.parametrize("event", ["online", "focus", "visibilitychange"])
def test_somebody_who_looks_at_the_page_need_not_wait(
    engine: Engine, connect: Connect, home: GatewayProcess, event: str
) -> None:
    """But for a wait that the application wants."""
    client = connect(f"ws://127.0.0.1:{free_port()}/ws/a", transport="websocket")
    hint = "(event) => (event === 'visibilitychange' ? document : window).dispatchEvent(new Event(event))"
    with without_chance(engine):
        for times in range(1, 6):
            client.is_now("waiting", times)
            engine.evaluate(hint, event)
        client.is_now("waiting", 6)
    cut = connect(f"ws://127.0.0.1:{home.port}/ws/a")
    cut.is_now("open")
    cut.do("renew", "cut by you", 60_000)
    engine.evaluate(hint, event)
    assert cut.states[-1]["name"] == "waiting"
    assert cut.states[-1]["reason"] == "cut by you"


@in_a_page
def test_it_spares_the_browser_websockets_that_would_fail(engine: Any, connect: Connect, start: Start) -> None:
    """After a dozen that failed Chromium would let the next ones wait, for as long as five seconds each."""
    port, tried = free_port(), []
    engine.on("websocket", lambda socket: tried.append(socket.url))
    client = connect(f"ws://127.0.0.1:{port}/ws/{port}")
    for times in range(1, 20):
        client.is_now("waiting", times)
        client.start()
    start(port=port)
    assert client.is_now("open")["transport"] == "websocket"
    assert len([url for url in tried if url.endswith(f"/{port}")]) < 10


@in_a_page
def test_it_goes_on_behind_a_position_that_an_application_knows(
    connect: Connect, home: GatewayProcess, channel: str
) -> None:
    url = f"ws://127.0.0.1:{home.port}/ws/{channel}"
    first = connect(url, transport="events")
    first.is_now("open")
    publish(home, channel, *"0123")
    first.hears(*"0123")
    positions = [one["position"] for one in first.told if "data" in one]
    later = connect(url, transport="events", since=positions[1])
    later.hears("2", "3")
    assert later.missed == []
    assert later.now("position") == positions[3]
    over_a_websocket = connect(url, since=positions[1])
    wait_until_blocking(lambda: over_a_websocket.missed == [None], what="it is told")


@in_a_page
def test_what_is_kept_no_more_is_said_to_be_missing(connect: Connect, start: Start) -> None:
    gateway = start(history_size=2)
    url = f"ws://127.0.0.1:{gateway.port}/ws/a"
    first = connect(url, transport="events")
    first.is_now("open")
    publish(gateway, "a", *"012345")
    first.hears(*"012345")
    positions = [one["position"] for one in first.told if "data" in one]
    later = connect(url, transport="events", since=positions[0])
    wait_until_blocking(lambda: later.missed, what="it is told")
    publish(gateway, "a", "6")
    wait_until_blocking(lambda: later.data[-1:] == ["6"], what="it goes on")
    assert len(later.missed) == 1


@in_a_page
def test_without_a_history_each_return_may_have_missed_something(connect: Connect, start: Start) -> None:
    port = free_port()
    gateway = start(port=port)
    client = connect(f"ws://127.0.0.1:{port}/ws/a", transport="events")
    client.is_now("open")
    kill(gateway)
    client.is_now("waiting")
    start(port=port)
    client.is_now("open", 2)
    wait_until_blocking(lambda: client.missed == [None], what="it is told")
    assert client.now("position") is None


@in_a_page
@both
def test_messages_have_bounds(connect: Connect, start: Start, transport: str) -> None:
    """What the server refuses closes the client; what would wait for too long isn't taken."""
    gateway = start(max_message_bytes=1000)
    url = f"ws://127.0.0.1:{gateway.port}/ws/a?echo=1"
    small = connect(url, transport=transport, maxMessageBytes=6)
    small.is_now("open")
    assert small.do("send", "€€€") == "9 bytes are more than the 6 that are allowed"
    small.send("€€")
    small.hears("€€")
    careless = connect(url, transport=transport, maxBufferedBytes=1000)
    careless.is_now("open")
    assert careless.do("send", "x" * 2000) is None
    closed = careless.is_now("closed")
    assert (closed["opened"], closed["code"]) == (True, 1009)


@in_a_page
def test_posts_wait_within_a_bound(engine: Engine, connect: Connect, home: GatewayProcess, channel: str) -> None:
    client = connect(f"ws://127.0.0.1:{home.port}/ws/{channel}", transport="events", maxBufferedBytes=10)
    client.is_now("open")
    script = "(texts) => texts.map((text) => globalThis.clients.at(-1).client.send(text))"
    full = "too much is waiting to be sent"
    assert engine.evaluate(script, ["12345678", "12", "3", "4"]) == [None, None, full, full]
    client.hears("12345678", "12")


@in_a_page
def test_a_fault_of_the_application_does_not_end_the_connection(
    engine: Engine, connect: Connect, home: GatewayProcess, channel: str
) -> None:
    script = """async ([url, module, transport]) => {
        const { RelayClient } = await import(module);
        const errors = [];
        const caught = (event) => (errors.push(event.message), event.preventDefault());
        window.addEventListener("error", caught);
        const heard = await new Promise((resolve) => {
            const heard = [];
            const client = new RelayClient(url, {
                transport,
                onMessage: (data) => {
                    heard.push(data);
                    if (data === "1") resolve(heard);
                    throw new Error(`fault ${data}`);
                },
                onState: ({ name }) => {
                    if (name === "open") client.send("0"), client.send("1");
                },
            });
            client.start();
        });
        await new Promise((resolve) => setTimeout(resolve));
        window.removeEventListener("error", caught);
        return [heard, errors];
    }"""
    module = f"http://127.0.0.1:{home.port}/client/relay-client.js"
    for transport in ("websocket", "events"):
        url = f"/ws/{channel}-{transport}?echo=1"
        heard, errors = engine.evaluate(script, [url, module, transport])
        assert heard == ["0", "1"]
        assert errors == ["Uncaught Error: fault 0", "Uncaught Error: fault 1"]


@in_a_page
@pytest.mark.parametrize(
    ("url", "options", "told"),
    [
        ("http://", {}, "URL"),
        ("/ws/a", {"transport": "carrier pigeon"}, "no transport: carrier pigeon"),
        ("/connection/websocket", {"transport": "events"}, "/ws/CHANNEL"),
    ],
)
def test_what_can_never_work_is_said_at_once(
    engine: Engine, home: GatewayProcess, url: str, options: dict[str, str], told: str
) -> None:
    script = """async ([module, url, options]) => {
        const { RelayClient } = await import(module);
        try {
            new RelayClient(url, options);
        } catch (error) {
            return `${error.name}: ${error.message}`;
        }
    }"""
    said = engine.evaluate(script, [f"http://127.0.0.1:{home.port}/client/relay-client.js", url, options])
    assert said.startswith("TypeError: ")
    assert told in said


@in_a_page
def test_a_stream_is_read_the_same_however_it_comes_in_pieces(engine: Engine, home: GatewayProcess) -> None:
    """An id counts once its event is whole: else that would be lost with the connection."""
    stream = "retry: 1\n\nid: 0\n\n: beat\r\ndata: a\r\ndata:b\r\rid: 1\nevent: text\ndata\n\nid: 2\ndata: half"
    script = """async ([module, stream]) => {
        const { EventReader } = await import(module);
        const read = (...pieces) => {
            const reader = new EventReader();
            return JSON.stringify(pieces.flatMap((piece) => reader.read(piece)));
        };
        const ways = new Set([read(stream), read(...stream)]);
        for (let at = 0; at < stream.length; at++) ways.add(read(stream.slice(0, at), stream.slice(at)));
        return [...ways].map((way) => JSON.parse(way));
    }"""
    ways = engine.evaluate(script, [f"http://127.0.0.1:{home.port}/client/events.js", stream])
    assert ways == [
        [
            {"type": "", "data": "", "id": ""},
            {"type": "", "data": "", "id": "0"},
            {"type": "message", "data": "a\nb", "id": ""},
            {"type": "text", "data": "", "id": "1"},
        ]
    ]
