"""`POST /emulation`: what clients say whose stream carries only what they are told, at any gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from centrifuge.protocol import client_pb2

from tests.centrifuge.transports.stream_client import StreamClient, commands, emulate
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import send_request
from tests.harness.inside import parts_of
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import request

Connect = Callable[..., StreamClient]

both = pytest.mark.parametrize("connect", [StreamClient.http_stream, StreamClient.sse], ids=["http_stream", "sse"])

NOWHERE = "0123456789abcdef"


def body(session: str = "s", node: str = NOWHERE, data: str = "{}") -> bytes:
    """Return the body of a request."""
    return json.dumps({"session": session, "node": node, "data": data}).encode()


@both
async def test_any_gateway_takes_what_a_client_says(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str, connect: Connect
) -> None:
    one, other = await gateways(2, broker_url=redis_server.url, broker_prefix=prefix)
    async with connect(one.port) as client:
        assert (await client.ask(port=other.port, subscribe={"channel": "a"}))["subscribe"] == {}
        numbers = range(200)
        for number in numbers:
            said = {"id": number + 1000, "publish": {"channel": "a", "data": number}}
            assert (await client.say(said, port=other.port)).status == 204
        assert await client.publications(len(numbers)) == list(numbers)
        for port in (one.port, other.port):
            assert (await client.ask(port=port, publish={"channel": "a", "data": "x"}))["publish"] == {}


async def test_a_gateway_that_has_left_is_unknown(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str
) -> None:
    one, other = await gateways(2, broker_url=redis_server.url, broker_prefix=prefix)
    async with StreamClient.http_stream(one.port) as client:
        await client.reply(1)
        await one.terminate()
        (*_, last) = await client.to_the_end()
        assert last["push"]["disconnect"] == {"code": 3001, "reason": "shutdown"}
        assert (await client.say({}, port=other.port)).status == 404


@pytest.mark.parametrize("node", ["", NOWHERE, "x" * 16, "0123456789abcde\n", "*", "a" * 10_000])
async def test_a_node_that_is_none_is_unknown(embedded: EmbeddedFactory, redis_server: RedisServer, node: str) -> None:
    for gateway in [(await embedded(1))[0], (await embedded(1, broker_url=redis_server.url))[0]]:
        await wait_until(lambda: not parts_of(gateway).context.node.problems)  # noqa: B023
        response = await emulate(gateway.port, body(node=node))
        assert (response.status, response.text) == (404, "no such node\n")


async def test_nobody_is_told_whether_there_is_a_client(embedded: EmbeddedFactory, redis_server: RedisServer) -> None:
    """As with Centrifugo; a client finds out that it gets no answer."""
    one, other = await embedded(2, broker_url=redis_server.url)
    for gateway in (one, other):
        await wait_until(lambda: not parts_of(gateway).context.node.problems)  # noqa: B023
    node = parts_of(one).context.node.id.hex()
    for port in (one.port, other.port):
        for session in ("", "nobody", "x" * 5000, "é"):
            assert (await emulate(port, body(session, node))).status == 204
    assert one.counters.bus_errors == 0


async def test_a_client_can_t_be_found_by_its_id(embedded: EmbeddedFactory) -> None:
    """Others may know it, and its neighbours can guess it."""
    (gateway,) = await embedded(1)
    async with StreamClient.http_stream(gateway.port) as client, StreamClient.http_stream(gateway.port) as neighbour:
        connected = (await client.reply(1))["connect"]
        other = (await neighbour.reply(1))["connect"]
        assert len({connected["session"], other["session"]}) == 2
        assert len(connected["session"]) >= 22
        said = commands({"id": 7, "publish": {"channel": "a", "data": 1}}).decode()
        for session in (connected["client"], connected["client"][:16], ""):
            assert (await emulate(gateway.port, body(session, connected["node"], said))).status == 204
        await client.ask(presence_stats={"channel": "a"})
        assert not [one for one in client.told if one.get("id") == 7]


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"session":1}',
        b'{"data":{}}',
        b'{"data":["x"]}',
        b'{"data":"\xff"}',
        b'{"data":"\\ud800"}',
        b'{"node":null}',
        b"[" * 5000,
    ],
)
async def test_a_malformed_request_is_refused(embedded: EmbeddedFactory, malformed: bytes) -> None:
    (gateway,) = await embedded(1)
    response = await emulate(gateway.port, malformed)
    assert response.status == 400
    assert "malformed" in response.text


@pytest.mark.parametrize("malformed", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff", b"\x12\x80"])
async def test_malformed_protobuf_is_refused(embedded: EmbeddedFactory, malformed: bytes) -> None:
    (gateway,) = await embedded(1)
    response = await emulate(gateway.port, malformed, "Content-Type: application/octet-stream")
    assert response.status == 400


async def test_what_is_too_large_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_message_bytes=1000)
    node = parts_of(gateway).context.node.id.hex()
    assert (await emulate(gateway.port, body("s", node, "x" * 1000))).status == 204
    for size in (1001, 10_000):
        assert (await emulate(gateway.port, body("s", node, "x" * size))).status == 413
    encoded = client_pb2.EmulationRequest(node=node, session="s", data=b"x" * 1001).SerializeToString()
    assert (await emulate(gateway.port, encoded, "Content-Type: application/octet-stream")).status == 413


async def test_without_a_bus_nothing_is_handed_over(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", publish_timeout=0.1)
    assert (await emulate(gateway.port, body())).status == 503


async def test_one_address_can_send_so_many(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_publishes_per_second=2)
    statuses = [(await emulate(gateway.port, body())).status for _ in range(4)]
    assert statuses[:2] == [404, 404]
    assert 429 in statuses


FROM = "X-Forwarded-For: 8.8.8.8"
OTHERS = "X-Forwarded-For: 1.1.1.1"
JSON = "Content-Type: application/json"


async def test_one_address_can_forward_so_many_bytes(embedded: EmbeddedFactory, redis_server: RedisServer) -> None:
    """Whether there is such a client or not: nobody but its own gateway knows, and the bus carries it there."""
    settings = {"max_bytes_per_second": 1000, "trusted_proxies": "127.0.0.1"}
    one, other = await embedded(2, broker_url=redis_server.url, **settings)
    for gateway in (one, other):
        await wait_until(lambda: not parts_of(gateway).context.node.problems)  # noqa: B023
    there = parts_of(other).context.node.id.hex()
    large = body(node=there, data="x" * 3000)
    assert (await emulate(one.port, large, JSON, FROM)).status == 204
    response = await emulate(one.port, body(node=there), JSON, FROM)
    assert (response.status, response.text) == (
        429,
        "too many bytes from this address are for other gateways: they were not passed on\n",
    )
    assert one.counters.limits_reached == {"forwarded_bytes": 1}
    assert (await emulate(one.port, body(node=there), JSON, OTHERS)).status == 204
    # What stays here is counted for its client.
    assert (await emulate(one.port, body(node=parts_of(one).context.node.id.hex()), JSON, FROM)).status == 204


async def test_one_address_leaves_room_for_what_others_send_while_the_bus_is_slow(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await embedded(
        1,
        broker_url=own_redis.url,
        broker_timeout=30,  # nothing is lost meanwhile
        publish_buffer_bytes=400_000,  # a quarter is for requests
        max_message_bytes=16_000,
        trusted_proxies="127.0.0.1",
    )
    await wait_until(lambda: not parts_of(gateway).context.node.problems)
    own_redis.pause()
    try:
        large = body(node=NOWHERE, data="x" * 12_000)  # a third more on its way
        waiting = [asyncio.create_task(emulate(gateway.port, large, JSON, FROM)) for _ in range(8)]
        await wait_until(lambda: sum(task.done() for task in waiting) == 5, what=lambda: gateway.counters)
        posted = request("/publish/a", b"x" * 15_000, FROM, "Connection: close")
        assert (await send_request(gateway.port, posted)).status == 429
        by_others = asyncio.create_task(emulate(gateway.port, large, JSON, OTHERS))
        posted = request("/publish/a", b"x" * 5_000, OTHERS, "Connection: close")
        others = [by_others, asyncio.create_task(send_request(gateway.port, posted))]
    finally:
        own_redis.resume()
    assert [(await task).status for task in others] == [404, 200]
    assert sorted(response.status for response in await asyncio.gather(*waiting)) == [404] * 3 + [429] * 5
    assert gateway.counters.limits_reached == {"posted_bytes": 6}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/emulation", "POST"),
        ("/connection/http_stream", "POST"),
        ("/connection/sse", "GET, POST"),
        ("/connection/uni_sse", "GET, POST"),
        ("/connection/uni_http_stream", "POST"),
    ],
)
async def test_pages_of_other_sites_may_ask_first(embedded: EmbeddedFactory, path: str, methods: str) -> None:
    (gateway,) = await embedded(1, allowed_origins=("https://a.example",))
    headers = ("Origin: https://a.example", "Access-Control-Request-Headers: content-type", "Connection: close")
    response = await send_request(gateway.port, request(path, b"", *headers, method="OPTIONS"))
    assert response.status == 204
    assert response.headers["access-control-allow-methods"] == methods
    assert response.headers["access-control-allow-headers"] == "content-type"
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    other = [header.replace("a.example", "b.example") for header in headers]
    assert (await send_request(gateway.port, request(path, b"", *other, method="OPTIONS"))).status == 403
    assert (await send_request(gateway.port, request(path, b"{}", "Connection: close", method="PUT"))).status == 405


async def test_what_is_said_while_something_is_under_way_waits_for_its_turn(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with StreamClient.http_stream(gateway.port) as client:
        await client.reply(1)
        said = [{"id": number, "subscribe": {"channel": f"c{number}"}} for number in range(2, 60)]
        responses = await asyncio.gather(*(client.say(one) for one in said))
        assert {response.status for response in responses} == {204}
        await asyncio.gather(client.until(lambda one: one.get("id") == 59))
        assert sorted(one["id"] for one in client.told) == list(range(1, 60))


async def test_a_client_that_sends_more_than_it_may_is_slowed_down_and_what_it_says_kept(
    embedded: EmbeddedFactory,
) -> None:
    (gateway,) = await embedded(1, max_messages_per_second=20)
    async with StreamClient.http_stream(gateway.port, {"id": 1, "connect": {}}) as client:
        await client.reply(1)
        for number in range(2, 60):
            await client.say({"id": number, "publish": {"channel": "a", "data": number}})
        await client.reply(59)
        assert [one["id"] for one in client.told] == list(range(1, 60))
        assert gateway.counters.limits_reached["messages"] == 1


async def test_a_client_for_which_too_much_waits_is_closed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_messages_per_second=1)
    async with StreamClient.http_stream(gateway.port) as client:
        connected = (await client.reply(1))["connect"]
        take_in = parts_of(gateway).context.emulated_streams.take_in
        for number in range(300):
            take_in(connected["session"], commands({"id": number + 2, "publish": {"channel": "a", "data": 1}}))
        (*_, last) = await client.to_the_end()
        assert last["push"]["disconnect"] == {"code": 3013, "reason": "too many requests"}
    await wait_until(lambda: not parts_of(gateway).context.emulated_streams)
    assert len(parts_of(gateway).context.throttled) == 0
