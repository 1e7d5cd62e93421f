"""Clients that send one request and get bare pushes: `/connection/uni_websocket`, `uni_sse` and `uni_http_stream`."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from relay.message import make_message
from tests.centrifuge.transports.stream_client import Said, StreamClient
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, PING, TEXT, RawWebSocket, close_of
from tests.harness.server_api import publish

Connect = Callable[..., StreamClient]

both = pytest.mark.parametrize(
    "connect", [StreamClient.uni_http_stream, StreamClient.uni_sse], ids=["uni_http_stream", "uni_sse"]
)

SECRET = "the secret that only the issuer and the relay know, of 64 bytes."
NAMESPACES = {
    "kept": {"history_size": 10, "no_json": "string"},
    "told": {"presence": True, "join_leave": True, "force_push_join_leave": True},
}


def token(*channels: str, **claims: Any) -> str:
    """Return a token that subscribes its client to channels."""
    subs: dict[str, Any] = {channel: {} for channel in channels}
    given = {"sub": "ann", "exp": time.time() + 3600, "subs": subs, "channels": {"*": "rwph"}, **claims}
    return jwt.encode(given, SECRET, "HS256")


async def started(embedded: EmbeddedFactory, **settings: Any) -> Any:
    """Start a gateway that knows such tokens."""
    (gateway,) = await embedded(1, auth="jwt", jwt_secret=SECRET, namespaces=NAMESPACES, **settings)
    return gateway


@both
async def test_a_client_hears_what_its_token_names(embedded: EmbeddedFactory, connect: Connect) -> None:
    gateway = await started(embedded)
    node = parts_of(gateway).context.node
    async with connect(gateway.port, {"token": token("a", "kept:b")}) as client:
        (first,) = [await client.until(lambda one: True)]
        connected = first["connect"]
        assert set(connected["subs"]) == {"a", "kept:b"}
        assert connected["session"]
        assert "pong" not in connected
        assert "node" not in connected
        assert connected["expires"] is True
        await node.submit(make_message("a", '{"x": "é"}'))
        await node.submit(make_message("kept:b", "no JSON"))
        await client.publications(2)
        assert client.told[1] == {"channel": "a", "pub": {"data": {"x": "é"}}}
        (pub,) = (one["pub"] for one in client.told[2:])
        assert (pub["data"], pub["offset"]) == ("no JSON", 1)


@both
async def test_a_client_hears_who_comes_to_its_channels(embedded: EmbeddedFactory, connect: Connect) -> None:
    gateway = await started(embedded)
    async with connect(gateway.port, {"token": token("told:a")}) as client:
        await client.until(lambda one: "join" in one)
        async with connect(gateway.port, {"token": token("told:a", sub="bob")}):
            heard = await client.until(lambda one: "join" in one and one["join"]["info"]["user"] != "ann")
    assert [list(one) for one in client.told] == [["connect"], ["channel", "join"], ["channel", "join"]]
    assert (heard["channel"], heard["join"]["info"]["user"]) == ("told:a", "bob")


@both
async def test_a_client_comes_back_and_gets_what_it_has_missed(embedded: EmbeddedFactory, connect: Connect) -> None:
    gateway = await started(embedded)
    node = parts_of(gateway).context.node
    async with connect(gateway.port, {"token": token("kept:b")}) as client:
        await client.until(lambda one: "connect" in one)
        await node.submit(make_message("kept:b", "1"))
        await client.publications(1)
        sub = client.told[0]["connect"]["subs"]["kept:b"]
    await node.submit(make_message("kept:b", "2"))
    subs = {"kept:b": {"recover": True, "epoch": sub["epoch"], "offset": 1}}
    async with connect(gateway.port, {"token": token("kept:b"), "subs": subs}) as client:
        connected = (await client.until(lambda one: "connect" in one))["connect"]
        assert connected["subs"]["kept:b"]["recovered"] is True
        assert [one["data"] for one in connected["subs"]["kept:b"]["publications"]] == [2]


@both
async def test_pings_want_no_pongs(gateways: GatewayFactory, connect: Connect) -> None:
    for gateway in await gateways(2, ping_interval=0.2, ping_timeout=0.1):
        async with connect(gateway.port) as client:
            await client.pinged(5)
            assert client.told[1:] == []


@both
@pytest.mark.parametrize(
    ("given", "close"),
    [
        ({}, (3501, "bad request")),
        ({"token": "x"}, (3500, "invalid token")),
        ({"token": token("a", exp=1)}, (3005, "connection expired")),
    ],
    ids=["none", "invalid", "expired"],
)
async def test_a_client_that_is_not_let_in_is_told_why(
    embedded: EmbeddedFactory, connect: Connect, given: Said, close: tuple[int, str]
) -> None:
    gateway = await started(embedded)
    async with connect(gateway.port, given) as client:
        assert await client.to_the_end() == [{"disconnect": {"code": close[0], "reason": close[1]}}]
        assert client.head.status == 200
    await wait_until(lambda: not gateway.counters.connections_open)
    assert gateway.counters.connections_closed == {close[0]: 1}


@asynccontextmanager
async def listening(port: int, query: str = "", first: bytes | None = None) -> AsyncIterator[RawWebSocket]:
    """Connect a WebSocket that only listens."""
    async with RawWebSocket(port) as raw:
        response = await raw.upgrade("/connection/uni_websocket" + query)
        assert response.status == 101, response
        if first is not None:
            await raw.send_frame(TEXT, first)
        yield raw


@pytest.mark.parametrize("in_url", [True, False])
async def test_a_websocket_hears_what_its_token_names(embedded: EmbeddedFactory, in_url: bool) -> None:
    gateway = await started(embedded)
    said = json.dumps({"token": token("a")})
    query, first = ("?cf_connect=" + quote(said), None) if in_url else ("", said.encode())
    async with listening(gateway.port, query, first) as raw:
        connected = json.loads((await raw.frame()).payload)
        assert set(connected["connect"]["subs"]) == {"a"}
        await parts_of(gateway).context.node.submit(make_message("a", "[1]"))
        frame = await raw.frame()
        assert (frame.opcode, frame.payload) == (TEXT, b'{"channel":"a","pub":{"data":[1]}}')
        await raw.send_frame(TEXT, b"whatever it says is ignored")
        await raw.send_frame(TEXT, json.dumps({"id": 2, "subscribe": {"channel": "b"}}).encode())
        await parts_of(gateway).context.node.submit(make_message("a", "2"))
        assert (await raw.frame()).payload == b'{"channel":"a","pub":{"data":2}}'
        assert gateway.counters.transports_open == {"uni_websocket": 1}


async def test_a_websocket_is_pinged_in_both_ways(gateways: GatewayFactory) -> None:
    for gateway in await gateways(2, ping_interval=0.3, ping_timeout=0.2):
        async with listening(gateway.port, first=b"{}") as raw:
            assert b"connect" in (await raw.frame()).payload
            for _ in range(3):
                frames = [await raw.frame(), await raw.frame()]
                assert [(frame.opcode, frame.payload) for frame in frames] == [(TEXT, b"{}"), (PING, b"")]
                await raw.send_frame(0xA)
            (_, _, push, close) = await raw.frames_to_the_end()
            assert json.loads(push.payload) == {"disconnect": {"code": 3012, "reason": "no pong"}}
            assert close_of(close) == (3012, "no pong")


@pytest.mark.parametrize("said", [b"", b"x", b"[]", b'{"token":1}', b'{"subs":{"a":1}}'])
async def test_a_websocket_that_begins_with_nonsense_is_closed(embedded: EmbeddedFactory, said: bytes) -> None:
    (gateway,) = await embedded(1)
    async with listening(gateway.port, first=said) as raw:
        push, close = await raw.frames_to_the_end()
        assert json.loads(push.payload) == {"disconnect": {"code": 3501, "reason": "bad request"}}
        assert (close.opcode, close_of(close)) == (CLOSE, (3501, "bad request"))


async def test_nonsense_in_the_url_gets_no_websocket(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as raw:
        assert (await raw.upgrade("/connection/uni_websocket?cf_connect=x")).status == 400
    async with RawWebSocket(gateway.port) as raw:
        assert (await raw.upgrade("/connection/uni_websocket/x")).status == 404


@both
async def test_without_rights_of_a_token_there_is_nothing_to_hear(gateways: GatewayFactory, connect: Connect) -> None:
    (gateway,) = await gateways(1)
    async with connect(gateway.port) as client:
        assert "subs" not in (await client.until(lambda one: "connect" in one))["connect"]
        assert (await publish(gateway.port, "/publish/a", b"1")).status == 200
