"""Clients that speak the Centrifuge protocol, and are closed or have gone."""

from __future__ import annotations

import json
import time

import pytest

from tests.clients.leftovers import leaving_nothing
from tests.harness.centrifuge_client import CentrifugeClient, centrifuge
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of
from tests.harness.server_api import call
from tests.system.centrifuge_pair import FORMATS, WITH_TOKENS, Pair, token
from tests.system.centrifuge_pair import pair as pair


@pytest.mark.parametrize("format", FORMATS)
async def test_a_drain_is_a_shutdown(pair: Pair, format: str) -> None:
    here, there = await pair()
    async with centrifuge(here.url, there.url, format=format) as (client, other):
        await client.subscribe("a")
        await here.drain()
        assert await client.ended() == (3001, "shutdown")
        assert other.is_open


@pytest.mark.usefixtures("each_fan_out")
async def test_a_client_that_reads_too_slowly_is_closed(pair: Pair) -> None:
    here, there = await pair(send_buffer_bytes=500_000)
    async with centrifuge(there.url) as (publisher,), RawWebSocket(here.port, receive_buffer=4096) as slow:
        assert (await slow.upgrade("/connection/websocket")).status == 101
        await slow.send_frame(TEXT, b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}')
        await wait_until(lambda: parts_of(here).context.node.hub.subscribers("a"))
        for number in range(400):
            await publisher.ask(publish={"channel": "a", "data": [number, "x" * 32_000]})
            if here.counters.disconnects:
                break
        frames = await slow.frames_to_the_end()
        assert close_of(frames[-1]) == (3008, "slow")
        assert here.counters.disconnects == {"SLOW_CONSUMER": 1}
        said = [json.loads(line) for frame in frames[:-1] for line in frame.payload.decode().split("\n")]
        assert [one.get("id") for one in said[:2]] == [1, 2]
        numbers = [one["push"]["pub"]["data"][0] for one in said[2:]]
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("format", FORMATS)
async def test_pings_keep_clients_and_find_those_that_have_gone(pair: Pair, format: str) -> None:
    here, _ = await pair(ping_interval=0.5, ping_timeout=0.3)
    silent = await CentrifugeClient.open(here.url, format, pongs=False)
    async with centrifuge(here.url, format=format) as (client,):
        await silent.ask(connect={})
        assert await silent.ended() == (3012, "no pong")
        assert silent.pings == 1
        await wait_until(lambda: client.pings >= 4)
        assert client.is_open


@pytest.mark.parametrize("format", FORMATS)
async def test_a_right_ends_with_its_token_unless_it_is_renewed(pair: Pair, format: str) -> None:
    here, _ = await pair(**WITH_TOKENS)
    renewing = await CentrifugeClient.open(here.url, format)
    async with centrifuge(here.url, format=format, token=token()) as (client,):
        assert (await renewing.ask(connect={"token": token(seconds=60)}))["connect"]["ttl"] in (58, 59, 60)
        reply = await renewing.ask(refresh={"token": token(seconds=20_000)})
        assert reply["refresh"]["expires"] is True
        parts_of(here).context.registry.expirations.now = lambda: time.time() + 7200
        assert await client.ended() == (3005, "connection expired")
        assert await stays_true(lambda: renewing.is_open, 0.3)
    await renewing.abort()
    old = await CentrifugeClient.open(here.url, format)
    reply = await old.ask(connect={"token": token(seconds=-3600)})
    assert reply == {"error": {"code": 109, "message": "token expired"}}
    await old.abort()
    for bad, end in (("forged", (3500, "invalid token")), ("", (3501, "bad request"))):
        forged = await CentrifugeClient.open(here.url, format)
        await forged.begin(connect={"token": bad})
        assert await forged.ended() == end


async def test_a_blocked_user_is_closed_and_not_let_in(pair: Pair) -> None:
    here, there = await pair(**WITH_TOKENS)
    async with centrifuge(here.url, token=token()) as (client,), centrifuge(here.url, token=token("bob")) as (bob,):
        assert await call(there.port, "block_user", {"user": "ann", "ttl": 60}) == {"result": {}}
        assert await client.ended() == (3503, "force disconnect")
        again = await CentrifugeClient.open(here.url)
        await again.begin(connect={"token": token()})
        assert await again.ended() == (3507, "permission denied")
        assert bob.is_open


@pytest.mark.parametrize("format", FORMATS)
async def test_a_client_is_told_when_its_token_ends(pair: Pair, format: str) -> None:
    """Not when the relay, whose clock may differ, accepts it no longer: it would renew it too late for others."""
    here, _ = await pair(**{**WITH_TOKENS, "jwt_leeway": 300})
    hour = range(3500, 3601)
    client = await CentrifugeClient.open(here.url, format)
    assert (await client.ask(connect={"token": token()}))["connect"]["ttl"] in hour
    assert (await client.ask(refresh={"token": token()}))["refresh"]["ttl"] in hour
    subscription = token(channel="a", channels=None)
    assert (await client.subscribe("a", token=subscription))["ttl"] in hour
    renewed = await client.ask(sub_refresh={"channel": "a", "token": subscription})
    assert renewed["sub_refresh"]["ttl"] in hour
    await client.abort()


async def test_who_says_nothing_is_stale(pair: Pair) -> None:
    here, _ = await pair()
    client = await CentrifugeClient.open(here.url)
    await wait_until(lambda: len(parts_of(here).context.registry.expirations))
    parts_of(here).context.registry.expirations.now = lambda: time.time() + 11
    assert await client.ended() == (3502, "stale")


@pytest.mark.usefixtures("each_fan_out")
async def test_clients_leave_nothing_behind(pair: Pair) -> None:
    here, there = await pair()
    async with leaving_nothing(here), leaving_nothing(there):
        for format in FORMATS:
            async with centrifuge(here.url, there.url, here.url, format=format) as clients:
                for client in clients:
                    for channel in ("a", "kept:a", "room:a"):
                        await client.subscribe(channel, join_leave=True)
                    await client.begin(history={"channel": "kept:a", "limit": -1})
                    await client.begin(publish={"channel": "a", "data": 1})
                    await client.begin(subscribe={"channel": "late"})
    await wait_until(lambda: parts_of(here).context.node.hub.channels == [])
