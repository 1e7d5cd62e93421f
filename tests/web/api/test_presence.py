"""What a back end learns of who is on a channel, over both buses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relay import Gateway
from relay.brokers.memory_presence import MemoryPresenceStore
from relay.brokers.presence import size_of
from relay.web.api import call as api_call
from tests.brokers.presence_events import come, member
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, call, error_of
from tests.web.api.conftest import StartWith

NAMESPACES = {"room": {"presence": True, "join_leave": True}}

ANN, BOB, EVE = member(1, "ann", b'{"color": [1, null]}'), member(2, "bob"), member(3)

Start = Callable[[], Awaitable[Gateway]]


@pytest.fixture
def start(start_with: StartWith) -> Start:
    """Start a gateway with presence whose API is on, on one of the buses; ANN, BOB and EVE are in `room:a`."""

    async def begin() -> Gateway:
        gateway = await start_with(namespaces=NAMESPACES)
        await parts_of(gateway).context.node.presence.update([come("room:a", ANN, BOB, EVE)])
        return gateway

    return begin


async def result(gateway: Gateway, method: str, channel: str) -> dict[str, Any]:
    """Return the result of a command."""
    found: dict[str, Any] = (await call(gateway.port, method, {"channel": channel}))["result"]
    return found


async def test_who_is_there_is_told_in_the_shape_of_centrifugo(start: Start) -> None:
    gateway = await start()
    assert await result(gateway, "presence", "room:a") == {
        "presence": {
            ANN.client: {"user": "ann", "client": ANN.client, "conn_info": {"color": [1, None]}},
            BOB.client: {"user": "bob", "client": BOB.client},
            EVE.client: {"user": "", "client": EVE.client},
        }
    }
    assert await result(gateway, "presence_stats", "room:a") == {"num_clients": 3, "num_users": 3}


async def test_an_empty_channel_has_nobody(start: Start) -> None:
    gateway = await start()
    assert await result(gateway, "presence", "room:b") == {"presence": {}}
    assert await result(gateway, "presence_stats", "room:b") == {"num_clients": 0, "num_users": 0}


@pytest.mark.parametrize("method", ["presence", "presence_stats"])
async def test_what_is_wrong_with_a_question_is_told(start: Start, method: str) -> None:
    gateway = await start()
    for parameters, code, words in (
        ({"channel": "plain"}, 108, "it isn't kept who is on plain; see the option presence"),
        ({"channel": "a b"}, 107, "channel: must not contain"),
        ({}, 107, "channel"),
        ({"channel": "room:a", "limit": 1}, 107, "limit"),
    ):
        found, message = await error_of(gateway.port, method, **parameters)
        assert (found, words in message) == (code, True), (parameters, message)


async def test_commands_of_a_batch_are_answered_each(start: Start) -> None:
    gateway = await start()
    commands = [{method: {"channel": name}} for method in ("presence", "presence_stats") for name in ("room:a", "c")]
    replies = (await call(gateway.port, "batch", {"commands": commands}))["replies"]
    assert [next(iter(reply)) for reply in replies] == ["presence", "error", "presence_stats", "error"]
    assert gateway.counters.api_requests["presence 0"] == gateway.counters.api_requests["presence_stats 108"] == 1


async def test_an_answer_has_a_bound(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await start()
    size = sum(map(size_of, (ANN, BOB, EVE)))
    monkeypatch.setattr(api_call, "ANSWER_BYTES", 2 * size)
    read = {"presence": {"channel": "room:a"}}
    replies = (await call(gateway.port, "batch", {"commands": [read] * 3}))["replies"]
    assert [next(iter(reply)) for reply in replies] == ["presence", "presence", "error"]
    assert replies[2]["error"]["code"] == 106
    monkeypatch.setattr("relay.brokers.presence.MAX_PRESENCE_BYTES", size - 1)
    code, message = await error_of(gateway.port, "presence", channel="room:a")
    assert (code, message) == (106, "too many clients are there to name them all: presence_stats tells how many")
    assert (await result(gateway, "presence_stats", "room:a"))["num_clients"] == 3


@pytest.mark.parametrize("method", ["presence", "presence_stats"])
async def test_a_bus_that_is_away_is_no_empty_channel(embedded: EmbeddedFactory, method: str) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES, broker_url=url)
    code, message = await error_of(gateway.port, method, channel="room:a")
    assert (code, "presence is not available" in message) == (100, True), message


async def test_a_bus_that_does_not_answer_in_time_is_an_error(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(self: MemoryPresenceStore, channel: str) -> None:
        await asyncio.Event().wait()

    (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES)
    monkeypatch.setattr(MemoryPresenceStore, "members", wait)
    monkeypatch.setattr("relay.web.publish_window.PublishWindow.seconds_left", 0.01)
    code, message = await error_of(gateway.port, "presence", channel="room:a")
    assert (code, message) == (100, "presence did not answer in time")
