"""Gateways of two releases on one Redis: what one doesn't know of the other is passed over, or counted and left out.

The other release is played by bytes on Redis; docs/upgrading.md names these tests.
"""

from __future__ import annotations

import json

import msgspec
import pytest

from relay import Gateway
from relay.brokers.envelope import open_envelope, seal
from relay.brokers.redis.announcement import KEY as NAMESPACES_KEY
from relay.brokers.redis.scripts import channel_key, keys_of
from relay.control.commands import VERSION
from relay.control.messages import CONTROL_CHANNEL
from relay.message import Message
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call
from tests.harness.stored_position import StoredPosition
from tests.harness.websocket_client import connected

LATER = b"\xff\x72\x20" + bytes(16) + b"of a later version"
"""An envelope of version 2."""

EXTENDED = b"\xff\x72\x18" + bytes(16) + b"\x00\x06\xc8\x04news" + b"with more"
"""One of version 1, with an extension whose number is not given out."""

CONTROL = f"relay:{CONTROL_CHANNEL}"


async def one_gateway(embedded: EmbeddedFactory, server: RedisServer, **settings: object) -> Gateway:
    (gateway,) = await embedded(1, broker_url=server.url, api_keys=KEY, **settings)
    await wait_until(lambda: gateway.ready)
    return gateway


async def test_an_envelope_of_a_later_version_is_left_out_and_counted(
    own_redis: RedisServer, embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """All others are delivered, and the gateway stays ready."""
    gateway = await one_gateway(embedded, own_redis)
    async with connected(f"{gateway.url}/ws/c") as (client,):
        own_redis.admin.publish("relay:c", LATER)
        own_redis.admin.publish("relay:c", "of this one")
        assert await client.receive(1) == ["of this one"]
    assert gateway.counters.bus_errors == 1
    assert "bus message refused" in caplog.text
    assert gateway.ready


async def test_an_extension_of_a_later_release_is_passed_over(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await one_gateway(embedded, own_redis)
    async with connected(f"{gateway.url}/ws/c") as (client,):
        own_redis.admin.publish("relay:c", EXTENDED)
        assert await client.receive(1) == ["with more"]
    assert gateway.counters.bus_errors == 0


async def test_a_kept_message_of_a_later_version_is_told_as_missed(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    """A client that comes back is told that one is missing, and goes on."""
    gateway = await one_gateway(embedded, own_redis, namespaces={"kept": {"history_size": 100}})
    await gateway.publish("kept:c", "1")
    position, history, _ = keys_of("relay:", "kept:c")
    own_redis.admin.xadd(history, {"m": LATER}, id="2-1")
    StoredPosition.change(own_redis.admin, position, offset=2, size=2)
    await gateway.publish("kept:c", "3")
    stored = StoredPosition.read(own_redis.admin, position)
    assert stored is not None
    async with EventStreamClient(gateway.port, f"/sse/kept:c?last_event_id={stored.epoch}:1") as stream:
        await gateway.publish("kept:c", "4")
        assert await stream.receive(1) == ["4"]
        assert stream.missed == [(0, f"{stored.epoch}:3")]
    assert gateway.counters.bus_errors >= 1


@pytest.mark.parametrize(
    "order",
    [
        {"version": VERSION + 1, "order": "disconnect", "user": "ann"},
        {"version": VERSION, "order": "a new one", "user": "ann"},
    ],
    ids=["version", "kind"],
)
async def test_what_is_not_known_between_gateways_is_refused_and_the_rest_goes_on(
    own_redis: RedisServer, embedded: EmbeddedFactory, caplog: pytest.LogCaptureFixture, order: dict[str, object]
) -> None:
    gateway = await one_gateway(embedded, own_redis)
    async with connected(f"{gateway.url}/ws/c?user=ann") as (client,):
        own_redis.admin.publish(CONTROL, json.dumps(order))
        await wait_until(lambda: "control message refused" in caplog.text)
        assert client.is_open
        assert await call(gateway.port, "disconnect", {"user": "ann"}) == {"result": {}}
        await client.ended()
    assert gateway.ready


async def test_fields_that_are_not_known_between_gateways_are_ignored(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await one_gateway(embedded, own_redis)
    async with connected(f"{gateway.url}/ws/c?user=ann") as (client,):
        order = {"version": VERSION, "order": "disconnect", "user": "ann", "why": "a field of a later release"}
        own_redis.admin.publish(CONTROL, json.dumps(order))
        await client.ended()


async def test_publishers_pass_over_options_of_namespaces_that_they_do_not_know(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    """They read which channels have a history, as gateways have told it."""
    from relay import AsyncPublisher

    await one_gateway(embedded, own_redis, namespaces={"kept": {"history_size": 100}})
    key = f"relay:{NAMESPACES_KEY}"
    await wait_until(lambda: own_redis.admin.exists(key) == 1)
    text = own_redis.admin.get(key)
    assert text is not None
    told = msgspec.json.decode(text)
    told["named"]["kept"]["a new option"] = told["a new part"] = True
    own_redis.admin.set(key, msgspec.json.encode(told))
    async with AsyncPublisher(own_redis.url) as publisher:
        await publisher.publish("kept:c", "1")
    assert own_redis.admin.exists(keys_of("relay:", "kept:c").position) == 1


async def test_fields_of_a_client_on_a_channel_that_are_not_known_are_ignored(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await one_gateway(embedded, own_redis, namespaces={"team": {"presence": True}})
    async with connected(f"{gateway.url}/ws/team:c?user=ann"):
        key = await gateways_key(own_redis)
        ((client, text),) = own_redis.admin.hgetall(key).items()
        told = {**msgspec.json.decode(text), "mood": "a field of a later release"}
        own_redis.admin.hset(key, client, msgspec.json.encode(told))
        reply = await call(gateway.port, "presence", {"channel": "team:c"})
        assert [found["user"] for found in reply["result"]["presence"].values()] == ["ann"]
    assert gateway.counters.bus_errors == 0


async def gateways_key(server: RedisServer) -> bytes | str:
    """Return the key that has the clients of the one gateway on the channel."""
    pattern = channel_key("relay:", "team:c", "presence:*")
    await wait_until(lambda: server.admin.keys(pattern))
    (key,) = server.admin.keys(pattern)
    return key


def test_the_bytes_above_are_of_what_they_are_said_to_be() -> None:
    """Of this version with one bit changed, and with one extension more."""
    sealed = seal(Message("c", b"with more"))
    assert sealed[:2] == LATER[:2] == EXTENDED[:2]
    assert sealed[2] >> 4 == 1 == EXTENDED[2] >> 4
    assert LATER[2] >> 4 == 2
    assert open_envelope("c", EXTENDED).payload == b"with more"
