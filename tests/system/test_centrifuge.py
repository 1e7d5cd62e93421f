"""The Centrifuge protocol over real sockets: two gateways on one Redis, beside clients of the other protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.conftest import EmbeddedFactory, ProxyFactory
from tests.harness.centrifuge_client import CentrifugeClient, centrifuge
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.poll_client import PollClient
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import call
from tests.harness.websocket_client import connected
from tests.system.centrifuge_pair import FORMATS, NAMESPACES, WITH_TOKENS, Pair, token
from tests.system.centrifuge_pair import pair as pair


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
