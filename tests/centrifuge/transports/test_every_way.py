"""What a client is owed in whatever way it has come: the same cases for all transports and formats."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
import pytest

from relay import Gateway
from relay.errors import Disconnect
from relay.message import make_message
from tests.centrifuge.transports.stream_client import Said
from tests.centrifuge.transports.ways import WAYS, Way, WayClient
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, call

SECRET = "the secret that only the issuer and the relay know, of 64 bytes."
NAMESPACES = {
    "kept": {"history_size": 100},
    "short": {"history_size": 3},
    "room": {"presence": True, "join_leave": True, "force_push_join_leave": True},
}

every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
speaking = pytest.mark.parametrize("way", [way for way in WAYS if way.speaks], ids=lambda way: way.name)


def token(*channels: str, user: str = "ann", seconds: float = 3600.0, **claims: Any) -> str:
    """Return a token for everything, which subscribes its client to channels."""
    given = {"sub": user, "exp": int(time.time() + seconds), "channels": {"*": "rwph"}}
    return jwt.encode({**given, "subs": {channel: {} for channel in channels}, **claims}, SECRET, "HS256")


async def started(embedded: EmbeddedFactory, **settings: Any) -> Gateway:
    """Start a gateway that knows such tokens."""
    given = {"auth": "jwt", "jwt_secret": SECRET, "namespaces": NAMESPACES, "api_keys": (KEY,), **settings}
    (gateway,) = await embedded(1, **given)
    return gateway


async def publish(gateway: Gateway, channel: str, *payloads: object) -> None:
    """Publish values as a back end does."""
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        await parts_of(gateway).context.node.submit(make_message(channel, text))


def connect(way: Way, gateway: Gateway, *channels: str, **options: Any) -> WayClient:
    """Return a client that the server subscribes to channels."""
    subs: Said = {"subs": options.pop("subs")} if "subs" in options else {}
    credential = options.pop("token", None) or token(*channels)
    return way.client(gateway.port, {"token": credential, **subs}, **options)


@every_way
async def test_it_hears_messages_in_order_with_their_offsets(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "kept:a", "b") as client:
        connected = await client.connected()
        assert set(connected["subs"]) == {"kept:a", "b"}
        await publish(gateway, "kept:a", *range(100))
        assert await client.publications(100) == list(range(100))
        pushes = [one.get("push", one) for one in client.told]
        assert [push["pub"]["offset"] for push in pushes if "pub" in push] == list(range(1, 101))
        assert gateway.counters.transports_open == {way.transport: 1}


@every_way
async def test_what_is_no_json_reaches_those_who_can_read_it(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "b") as client:
        await client.connected()
        await publish(gateway, "b", "no JSON", 1)
        expected = [1] if way.format == "json" else ["base64:bm8gSlNPTg==", 1]
        assert await client.publications(len(expected)) == expected
        assert gateway.counters.deliveries_left_out == (way.format == "json")


@every_way
async def test_one_that_reads_too_slowly_is_told_so(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, send_buffer_bytes=100_000)
    async with connect(way, gateway, "a", receive_buffer=4096) as client:
        await client.connected()
        for number in range(300):
            await publish(gateway, "a", [number, "x" * 20_000])
            await asyncio.sleep(0)
        await wait_until(lambda: gateway.counters.disconnects["SLOW_CONSUMER"] == 1)
        assert await client.ending() == (3008, "slow")
        numbers = [data[0] for data in client.published]
        assert numbers == list(range(len(numbers)))
    await wait_until(lambda: not gateway.counters.connections_open)
    assert len(parts_of(gateway).context.emulated_streams) == 0
    assert parts_of(gateway).context.node.hub.channels == []


@every_way
async def test_a_drain_is_a_shutdown(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        draining = asyncio.create_task(gateway.drain())  # it waits for the client's own close frame
        assert await client.ending() == (3001, "shutdown")
    await draining


@every_way
async def test_it_comes_back_and_gets_what_it_has_missed_or_is_told(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "kept:a", "short:a") as client:
        epochs = {channel: sub["epoch"] for channel, sub in (await client.connected())["subs"].items()}
    for channel in epochs:
        await publish(gateway, channel, *range(1, 8))
    subs = {channel: {"recover": True, "epoch": epoch, "offset": 2} for channel, epoch in epochs.items()}
    async with connect(way, gateway, "kept:a", "short:a", subs=subs) as client:
        got = (await client.connected())["subs"]
        assert (got["kept:a"]["recovered"], got["kept:a"]["was_recovering"]) == (True, True)
        assert [one["data"] for one in got["kept:a"]["publications"]] == [3, 4, 5, 6, 7]
        assert "recovered" not in got["short:a"]
        assert "publications" not in got["short:a"]
        assert (got["short:a"]["was_recovering"], got["short:a"]["offset"]) == (True, 7)
        await publish(gateway, "kept:a", 8)
        assert await client.publications(1) == [8]


@every_way
async def test_a_right_ends_with_its_token(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "a") as client:
        assert (await client.connected())["expires"] is True
        parts_of(gateway).context.registry.expirations.now = lambda: time.time() + 7200
        assert await client.ending() == (3005, "connection expired")


@speaking
async def test_a_token_can_be_renewed(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        assert (await client.ask(refresh={"token": token(seconds=20_000)}))["refresh"]["expires"] is True
        async with connect(way, gateway, "a") as other:
            await other.connected()
            parts_of(gateway).context.registry.expirations.now = lambda: time.time() + 7200
            assert await other.ending() == (3005, "connection expired")
        await publish(gateway, "a", 1)
        assert await client.publications(1) == [1]


@every_way
@pytest.mark.parametrize(("credential", "close"), [("forged", (3500, "invalid token")), ("", (3501, "bad request"))])
async def test_it_is_told_why_it_may_not_come_in(
    embedded: EmbeddedFactory, way: Way, credential: str, close: tuple[int, str]
) -> None:
    gateway = await started(embedded)
    async with way.client(gateway.port, {"token": credential}) as client:
        assert await client.ending() == close


@every_way
async def test_a_user_has_so_many_clients(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, max_connections_per_user=1)
    async with connect(way, gateway, "a") as client, connect(way, gateway, "a") as other:
        await client.connected()
        assert await other.ending() == (3504, "connection limit")
        async with connect(way, gateway, token=token(user="bob")) as third:
            await third.connected()


@every_way
async def test_an_address_has_so_many_clients(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, max_connections_per_address=1)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        async with connect(way, gateway, "a") as other:
            assert other.head.status == 429
            assert "retry-after" in other.head.headers


@every_way
async def test_a_client_has_so_many_channels(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, max_channels_per_connection=2)
    async with connect(way, gateway, "a", "b", "c") as client:
        assert await client.ending() == (3505, "channel limit")
    if way.speaks:
        async with connect(way, gateway, "a", "b") as client:
            await client.connected()
            assert (await client.ask(subscribe={"channel": "c"}))["error"]["code"] == 106


@speaking
async def test_one_that_sends_more_than_it_may_is_held_up(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, max_messages_per_second=20)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        await client.say(*({"id": number + 2, "publish": {"channel": "a", "data": number}} for number in range(60)))
        assert await client.publications(60) == list(range(60))
        assert gateway.counters.limits_reached["messages"] == 1


@every_way
async def test_others_see_it_come_and_go(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)

    async def present() -> set[str]:
        members = (await call(gateway.port, "presence", {"channel": "room:1"}))["result"]["presence"]
        return {member["user"] for member in members.values()}

    async with connect(way, gateway, "room:1") as client:
        assert (await client.until_pushed("join"))["join"]["info"]["user"] == "ann"
        async with connect(way, gateway, "room:1", token=token("room:1", user="bob")) as other:
            await other.connected()
            await client.until(lambda one: one.get("push", one).get("join", {}).get("info", {}).get("user") == "bob")
            assert await present() == {"ann", "bob"}


@every_way
async def test_a_back_end_subscribes_unsubscribes_and_closes_it(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "a") as client:
        given = {"user": "ann", "client": (await client.connected())["client"]}
        assert await call(gateway.port, "subscribe", {**given, "channel": "kept:b"}) == {"result": {}}
        begun = await client.until_pushed("subscribe")
        assert (begun["channel"], begun["subscribe"]["recoverable"]) == ("kept:b", True)
        assert await call(gateway.port, "unsubscribe", {**given, "channel": "a"}) == {"result": {}}
        gone = await client.until_pushed("unsubscribe")
        assert gone == {"channel": "a", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}
        await publish(gateway, "a", 1)
        await publish(gateway, "kept:b", 2)
        assert await client.publications(1) == [2]
        close = {"code": 4501, "reason": "enough"}
        assert await call(gateway.port, "disconnect", {**given, "disconnect": close}) == {"result": {}}
        assert await client.ending() == (4501, "enough")


@every_way
async def test_a_blocked_user_is_closed_and_not_let_in(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        assert await call(gateway.port, "block_user", {"user": "ann", "ttl": 60}) == {"result": {}}
        assert await client.ending() == (3503, "force disconnect")
    async with connect(way, gateway, "a") as again:
        assert await again.ending() == (3507, "permission denied")


@every_way
async def test_it_is_told_of_messages_that_no_history_has(embedded: EmbeddedFactory, way: Way) -> None:
    """And comes back."""
    gateway = await started(embedded, gap_seconds=0)
    async with connect(way, gateway, "a") as client:
        await client.connected()
        if way.speaks:
            await client.ask(subscribe={"channel": "b"})
            parts_of(gateway).context.missed_messages.tell(["b"])
            told = await client.until_pushed("unsubscribe")
            assert told == {"channel": "b", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}
        parts_of(gateway).context.missed_messages.tell(["a"])
        assert await client.ending() == (3010, "insufficient state")


@speaking
async def test_one_that_answers_no_pings_is_closed(embedded: EmbeddedFactory, way: Way) -> None:
    gateway = await started(embedded, ping_interval=0.5, ping_timeout=0.3)
    async with connect(way, gateway, "a") as client:
        assert (await client.connected())["pong"] is True
        await client.pinged(1)
        await client.say({})
        assert await client.ending() == (3012, "no pong")
        assert client.pings >= 2


@speaking
async def test_it_is_answered(embedded: EmbeddedFactory, way: Way) -> None:
    """Each kind of command."""
    gateway = await started(embedded)
    async with connect(way, gateway) as client:
        await client.connected()
        epoch = (await client.ask(subscribe={"channel": "kept:a"}))["subscribe"]["epoch"]
        for number in range(3):
            assert (await client.ask(publish={"channel": "kept:a", "data": {"n": number}}))["publish"] == {}
        assert await client.publications(3) == [{"n": 0}, {"n": 1}, {"n": 2}]
        since = {"epoch": epoch, "offset": 1}
        found = (await client.ask(history={"channel": "kept:a", "limit": 1, "since": since}))["history"]
        assert (found["offset"], [one["data"] for one in found["publications"]]) == (3, [{"n": 1}])
        await client.ask(subscribe={"channel": "room:1"})
        members = (await client.ask(presence={"channel": "room:1"}))["presence"]["presence"]
        assert [member["user"] for member in members.values()] == ["ann"]
        stats = (await client.ask(presence_stats={"channel": "room:1"}))["presence_stats"]
        assert stats == {"num_clients": 1, "num_users": 1}
        assert (await client.ask(rpc={"method": "x"}))["error"]["code"] == 108
        assert (await client.ask(unsubscribe={"channel": "kept:a"}))["unsubscribe"] == {}
        await client.say({"send": {"data": 1}})
        assert await client.ending() == (3508, "not available")
    assert gateway.counters.disconnects[Disconnect.NOT_AVAILABLE.name] == 1
