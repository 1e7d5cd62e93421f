"""The Centrifuge protocol over real sockets: two gateways on one Redis, beside clients of the other protocols."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from relay import Gateway
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory, ProxyFactory
from tests.harness.centrifuge_client import CentrifugeClient, centrifuge
from tests.harness.conditions import stays_true, wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected

SECRET = "a secret of the tests, of 32 bytes and more"

NAMESPACES = {
    "kept": {"history_size": 100},
    "short": {"history_size": 3},
    "room": {"presence": True, "join_leave": True},
}

Pair = Callable[..., Awaitable[tuple[Gateway, Gateway]]]

FORMATS = ("json", "protobuf")


@pytest.fixture
def pair(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> Pair:
    """Two gateways over one Redis: `await pair(...)`, with settings."""

    async def start(**settings: object) -> tuple[Gateway, Gateway]:
        given = {
            "broker_url": redis_server.url,
            "broker_prefix": prefix,
            "namespaces": NAMESPACES,
            "api_keys": (KEY,),
            **settings,
        }
        one, other = await embedded(2, **given)
        await wait_until(lambda: one.ready and other.ready)
        return one, other

    return start


def token(user: str = "ann", seconds: float = 3600.0, **claims: Any) -> str:
    """Return a token for everything."""
    given = {"sub": user, "exp": int(time.time() + seconds), "channels": {"*": "rwph"}, **claims}
    return jwt.encode(given, SECRET)


WITH_TOKENS: dict[str, Any] = {"auth": "jwt", "jwt_secret": SecretStr(SECRET), "jwt_leeway": 0}


@pytest.mark.usefixtures("each_fan_out")
async def test_all_kinds_of_clients_share_a_channel(pair: Pair, redis_server: RedisServer, prefix: str) -> None:
    here, there = await pair()
    poll = PollClient(there.port, "news")
    await poll.poll(wait=0)
    async with (
        connected(f"{there.url}/ws/news") as (plain,),
        EventStreamClient(here.port, "/sse/news") as stream,
        centrifuge(here.url) as (in_json,),
        centrifuge(there.url, format="protobuf") as (in_protobuf,),
    ):
        clients = (in_json, in_protobuf)
        for client in clients:
            assert await client.subscribe("news") == {}
        redis_server.admin.publish(f"{prefix}news", b'{"a":1}')
        await wait_until(lambda: all(client.data("news") == [{"a": 1}] for client in clients))
        assert await in_json.ask(publish={"channel": "news", "data": {"by": "json"}}) == {"publish": {}}
        assert await in_protobuf.ask(publish={"channel": "news", "data": {"by": "protobuf"}}) == {"publish": {}}
        await plain.send('{"by":"plain"}')
        await wait_until(lambda: all(len(client.data("news")) == 4 for client in clients))
        await plain.send("no JSON")
        await wait_until(lambda: len(in_protobuf.data("news")) == 5)
        await here.publish("news", '"end"')
        names = [{"by": name} for name in ("json", "protobuf", "plain")]
        await wait_until(lambda: in_json.data("news")[-1] == in_protobuf.data("news")[-1] == "end")
        assert in_json.data("news") == [{"a": 1}, *names, "end"]
        assert len(in_protobuf.data("news")) == 6, "it gets any bytes"
        texts = ['{"a":1}', '{"by": "json"}', '{"by":"protobuf"}', '{"by":"plain"}', "no JSON", '"end"']
        own = [text for text in texts if text not in ('{"by":"plain"}', "no JSON")]
        assert await plain.receive(4) == own, "its own it isn't told"
        assert await stream.receive(6) == texts
        while len(poll.received) < 6:
            await poll.poll()
        assert poll.received == texts
        info = in_json.told("pub")[1]["info"]
        assert info["user"] == ""
        assert len(info["client"]) == 32
        assert "info" not in in_json.told("pub")[0]
    assert here.counters.deliveries_left_out == 1


@pytest.mark.parametrize("format", FORMATS)
async def test_presence_is_seen_by_both(pair: Pair, format: str) -> None:
    here, there = await pair(**WITH_TOKENS)
    async with (
        centrifuge(here.url, format=format, token=token("ann", info={"name": "Ann"})) as (ann,),
        centrifuge(there.url, format=format, token=token("bob")) as (bob,),
    ):
        for client in (ann, bob):
            await client.subscribe("room:1", join_leave=True)
        await wait_until(lambda: len(ann.told("join")) == 2 and len(bob.told("join")) >= 1)
        assert {push["info"]["user"] for push in ann.told("join")} == {"ann", "bob"}

        async def seen_by(client: CentrifugeClient) -> dict[str, Any]:
            members = (await client.ask(presence={"channel": "room:1"}))["presence"]["presence"].values()
            return {member["user"]: member.get("conn_info") for member in members}

        for client in (ann, bob):
            await wait_until(lambda client=client: _is(seen_by(client), {"ann": {"name": "Ann"}, "bob": None}))
            stats = (await client.ask(presence_stats={"channel": "room:1"}))["presence_stats"]
            assert stats == {"num_clients": 2, "num_users": 2}
        await bob.abort()
        await wait_until(lambda: [push["info"]["user"] for push in ann.told("leave")] == ["bob"])


async def _is(found: Awaitable[dict[str, Any]], expected: dict[str, Any]) -> bool:
    return await found == expected


@pytest.mark.parametrize("format", FORMATS)
async def test_what_a_gateway_does_not_hear_comes_late_or_the_client_comes_again(
    own_redis: RedisServer, embedded: EmbeddedFactory, proxy_to: ProxyFactory, format: str
) -> None:
    """Where the history has it all, no client notices; else each is told, and recovers what it can."""
    proxy = await proxy_to(own_redis.port)
    given: dict[str, Any] = {"namespaces": NAMESPACES, "gap_seconds": 0}
    (deaf,) = await embedded(1, broker_url=own_redis.url_of(port=proxy.port), **given)
    (other,) = await embedded(1, broker_url=own_redis.url, **given)
    await wait_until(lambda: deaf.ready and other.ready)
    channels = ("kept:a", "short:a")
    async with centrifuge(deaf.url, format=format) as (client,):
        epochs = {channel: (await client.subscribe(channel))["epoch"] for channel in channels}
        proxy.targets = ()
        proxy.cut()
        await wait_until(lambda: not deaf.ready)
        for number in range(1, 8):
            for channel in channels:
                await other.publish(channel, str(number))
        proxy.targets = (own_redis.port,)
        await wait_until(lambda: client.data("kept:a") == list(range(1, 8)))
        await wait_until(lambda: client.told("unsubscribe"))
        assert client.told("unsubscribe") == [{"code": 2500, "reason": "insufficient state"}]
        known = {"recover": True, "epoch": epochs["short:a"]}
        result = await client.subscribe("short:a", **known)
        assert (result["offset"], result["was_recovering"], "recovered" in result) == (7, True, False)
        await client.ask(unsubscribe={"channel": "short:a"})
        result = await client.subscribe("short:a", offset=5, **known)
        assert [one["data"] for one in result["publications"]] == [6, 7]
        await other.publish("short:a", "8")
        await wait_until(lambda: client.data("short:a") == [8])


@pytest.mark.parametrize("format", FORMATS)
async def test_a_client_recovers_at_another_gateway(pair: Pair, format: str) -> None:
    here, there = await pair()
    async with centrifuge(here.url, format=format) as (client,):
        epoch = (await client.subscribe("kept:a"))["epoch"]
        await client.ask(publish={"channel": "kept:a", "data": 1})
        await wait_until(lambda: client.data("kept:a") == [1])
    for number in range(2, 50):
        await here.publish("kept:a", str(number))
    async with centrifuge(there.url, format=format) as (client,):
        result = await client.subscribe("kept:a", recover=True, epoch=epoch, offset=1)
        assert [one["data"] for one in result["publications"]] == list(range(2, 50))
        assert [one["offset"] for one in result["publications"]] == list(range(2, 50))
        assert (result["recovered"], result["offset"]) == (True, 1)
        await here.publish("kept:a", "50")
        await wait_until(lambda: client.data("kept:a") == [50])


# How connections end.


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


# What a back end wants.


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bus", ["memory", "Redis"])
async def test_tags_of_a_program_around_a_gateway_arrive(
    embedded: EmbeddedFactory, pair: Pair, bus: str, format: str
) -> None:
    """With the message, and with its history."""
    if bus == "Redis":
        here, there = await pair()
    else:
        (here,) = await embedded(1, namespaces=NAMESPACES)
        there = here
    tags = {"kind": "order", "é": "line\nbreak"}
    async with centrifuge(there.url, format=format) as (client,):
        for channel in ("news", "kept:news"):
            await client.subscribe(channel)
            await here.publish(channel, '{"x": 1}', tags=tags)
        await wait_until(lambda: len(client.told("pub")) == 2)
        assert [(pub["data"], pub["tags"]) for pub in client.told("pub")] == [({"x": 1}, tags)] * 2
        (kept,) = (await client.ask(history={"channel": "kept:news", "limit": 1}))["history"]["publications"]
        assert kept["tags"] == tags
    with pytest.raises(ValueError, match="tags: must have at most 4096 bytes"):
        await here.publish("news", "", tags={"much": 4096 * "x"})


@pytest.mark.parametrize("format", FORMATS)
async def test_a_back_end_subscribes_unsubscribes_refreshes_and_disconnects(pair: Pair, format: str) -> None:
    here, there = await pair(**WITH_TOKENS)
    done: dict[str, Any] = {"result": {}}
    async with centrifuge(here.url, there.url, format=format, token=token()) as clients:
        both = list(clients)

        async def told(what: str) -> list[dict[str, Any]]:
            await wait_until(lambda: all(client.told(what) for client in both))
            return [client.told(what)[-1] for client in both]

        assert await call(there.port, "subscribe", {"user": "ann", "channel": "given", "data": {"d": 1}}) == done
        assert await told("subscribe") == [{"data": {"d": 1}}] * 2
        await call(here.port, "publish", {"channel": "given", "data": {"x": 1}, "tags": {"k": "v"}})
        assert await told("pub") == [{"data": {"x": 1}, "tags": {"k": "v"}}] * 2
        assert await call(there.port, "unsubscribe", {"user": "ann", "channel": "given"}) == done
        assert await told("unsubscribe") == [{"code": 2000, "reason": "server unsubscribe"}] * 2
        in_an_hour = int(time.time()) + 3600
        assert await call(there.port, "refresh", {"user": "ann", "expire_at": in_an_hour}) == done
        assert all(push["expires"] and 3500 < push["ttl"] <= 3600 for push in await told("refresh"))
        go = {"code": 4501, "reason": "go"}
        assert await call(there.port, "disconnect", {"user": "ann", "disconnect": go}) == done
        for client in both:
            assert await client.ended() == (4501, "go")
    async with centrifuge(here.url, format=format, token=token()) as (client,):
        await call(there.port, "disconnect", {"user": "ann"})
        assert await client.ended() == (3503, "force disconnect")


# What it costs.


@pytest.mark.usefixtures("each_fan_out")
async def test_ten_busy_channels_are_one_write_in_a_tick(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    channels = [f"c{number}" for number in range(10)]
    async with centrifuge(gateway.url) as (client,), centrifuge(gateway.url, format="protobuf") as (other,):
        for channel in channels:
            await client.subscribe(channel)
            await other.subscribe(channel)
        writes = gateway.counters.writes
        for number in range(3):
            await asyncio.gather(*[gateway.publish(channel, str(number)) for channel in channels * 2])
        await wait_until(lambda: len(client.pushes) == len(other.pushes) == 60)
        assert gateway.counters.writes - writes == 2 * 3
        assert client.data("c7") == other.data("c7") == [0, 0, 1, 1, 2, 2]


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
