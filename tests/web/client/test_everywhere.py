"""What the JavaScript client does in a page, in a worker and in Node alike."""

from __future__ import annotations

import signal

import pytest

from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess
from tests.harness.picky_proxy import PickyProxy
from tests.harness.redis_server import RedisServer
from tests.web.client.conftest import Connect, Start
from tests.web.client.driven import Message
from tests.web.client.surroundings import kill, publish

MESSAGES: list[Message] = ["hello", "ä€😀", "two\nlines\r\nand\rmore", {"bytes": [0, 255, 13, 10]}, "{}"]


def test_over_a_websocket_messages_pass_as_they_are(connect: Connect, home: GatewayProcess, channel: str) -> None:
    client = connect(f"http://127.0.0.1:{home.port}/ws/{channel}?echo=1")
    assert client.is_now("open") == {"name": "open", "transport": "websocket"}
    client.send(*MESSAGES)
    client.hears(*MESSAGES)
    assert {one["position"] for one in client.told if "data" in one} == {None}
    client.stop()
    assert client.states == [
        {"name": "connecting"},
        {"name": "open", "transport": "websocket"},
        {"name": "closed", "opened": True, "code": 1000, "reason": ""},
    ]
    assert client.do("send", "late") == "not connected"


def test_where_no_websocket_gets_through_it_takes_events(connect: Connect, home: GatewayProcess, channel: str) -> None:
    """Nobody has to choose; what is sent and heard is the same, in the same order."""
    messages = [*MESSAGES, "\ufeffa mark", "\ufefftwo\rlines"]  # which the WebSocket of Node takes away
    with PickyProxy(home.port) as proxy:
        proxy.upgrades = "refuse"
        client = connect(f"ws://127.0.0.1:{proxy.port}/ws/{channel}?echo=1")
        assert client.is_now("open") == {"name": "open", "transport": "events"}
        assert [state["name"] for state in client.states] == ["connecting", "open"]
        client.send(*messages)
        client.hears(*messages)
        positions = [one["position"] for one in client.told if "data" in one]
        assert len(set(positions)) == len(messages)
        assert client.now("position") == positions[-1]


def test_events_go_on_where_they_were_while_gateways_come_and_go(
    connect: Connect, start: Start, redis_server: RedisServer, prefix: str
) -> None:
    """Each message comes once and in order, and nothing is said to be missing."""
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "history_size": 100}
    port = free_port()
    other, gateway = start(**settings), start(port=port, **settings)
    client = connect(f"ws://127.0.0.1:{port}/ws/a", transport="events")
    client.is_now("open")
    publish(other, "a", "0", "1")
    client.hears("0", "1")
    kill(gateway)
    client.is_now("waiting")
    publish(other, "a", "2", "3")
    gateway = start(port=port, **settings)
    client.start()
    client.hears("0", "1", "2", "3")
    gateway.signal(signal.SIGTERM)
    publish(other, "a", "4")
    wait_until_blocking(lambda: not gateway.running, what="the gateway ends")
    start(port=port, **settings)
    client.start()
    publish(other, "a", "5")
    client.hears(*"012345")
    assert client.missed == []


def test_after_a_lost_websocket_it_says_that_messages_may_be_missing(
    connect: Connect, start: Start, channel: str
) -> None:
    port = free_port()
    gateway = start(port=port)
    client = connect(f"ws://127.0.0.1:{port}/ws/{channel}?echo=1")
    client.is_now("open")
    kill(gateway)
    loss = client.is_now("waiting")
    assert (loss["opened"], loss["code"]) == (True, 1006)
    start(port=port)
    client.is_now("open", 2)  # by itself
    wait_until_blocking(lambda: client.missed == [None], what="it is told")
    client.send("again")
    client.hears("again")


@pytest.mark.parametrize("transport", ["websocket", "events"])
def test_it_waits_longer_each_time_by_a_random_part_and_never_long(connect: Connect, transport: str) -> None:
    """A gateway that returns has its clients back within five seconds."""
    client = connect(f"ws://127.0.0.1:{free_port()}/ws/a", transport=transport)
    for times in range(1, 7):
        client.is_now("waiting", times)
        client.start()
    client.stop()
    waits = [one["state"]["until"] - one["at"] for one in client.told if one.get("state", {}).get("name") == "waiting"]
    ceilings = [500, 1000, 2000, 4000, 4000, 4000]
    # The clock's milliseconds may turn over between its two readings.
    assert all(99 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=False)), waits
    assert len(set(waits)) > 1
