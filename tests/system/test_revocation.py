"""How rights end on all gateways of a deployment: by their time, by refresh, by a block, by commands about users."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jwt
import pytest
from cent import AsyncClient, BlockUserRequest, CentApiResponseError, RefreshRequest, UnblockUserRequest

from tests.conftest import GatewayFactory, ProxyFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.gateway_process import GatewayProcess, Setting, end
from tests.harness.http_response import get
from tests.harness.outage import STAYING
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call, publish
from tests.harness.websocket_client import WebSocketClient, connected

SECRET = "a secret of the tests, of 32 bytes and more"

SETTINGS: dict[str, Setting] = {"auth": "jwt", "jwt_secret": SECRET, "jwt_leeway": 0, "api_keys": KEY}

DONE: dict[str, object] = {"result": {}}


def token(user: str, seconds: float = 3600.0) -> str:
    """Return a token for everything."""
    return jwt.encode({"sub": user, "exp": time.time() + seconds, "channels": {"*": "rw"}}, SECRET)


def url_of(gateway: GatewayProcess, user: str, channel: str = "a", seconds: float = 3600.0) -> str:
    """Return where a user's client connects."""
    return f"{gateway.url}/ws/{channel}?token={token(user, seconds)}"


async def status(gateway: GatewayProcess, user: str) -> int:
    """Return what a gateway answers to a client of a user that comes in now."""
    return (await get(gateway.port, f"/poll/other?wait=0&token={token(user)}")).status


async def refused(gateway: GatewayProcess, user: str) -> bool:
    """Return whether a user is blocked."""
    return await status(gateway, user) == 403


async def endings(clients: list[WebSocketClient]) -> set[tuple[int | None, str | None]]:
    """Return how clients have ended, once all have."""
    return {await client.ended(30) for client in clients}


@pytest.fixture(scope="module")
def pair(redis_server: RedisServer) -> Iterator[list[GatewayProcess]]:
    """Two gateways; each test has users of its own."""
    settings = {**SETTINGS, "broker_url": redis_server.url, "broker_prefix": "revocation:"}
    gateways = [GatewayProcess(**settings, event_loop=loop) for loop in ("uvloop", "asyncio")]
    try:
        for gateway in gateways:
            gateway.start_blocking()
        yield gateways
    finally:
        end(gateways)


async def test_clients_end_with_their_tokens(pair: list[GatewayProcess]) -> None:
    urls = [url_of(gateway, "short", seconds=1.5) for gateway in pair for _ in range(5)]
    async with connected(*urls, url_of(pair[0], "long")) as (*clients, other):
        assert await endings(clients) == {(1008, "token expired")}
        assert other.is_open


async def test_refresh_reaches_both(pair: list[GatewayProcess]) -> None:
    """With Centrifugo's own client."""
    here, there = pair
    client = AsyncClient(f"http://127.0.0.1:{here.port}/api", KEY)
    try:
        async with connected(*[url_of(gateway, "ann", seconds=2) for gateway in pair]) as kept:
            await client.refresh(RefreshRequest(user="ann", expire_at=int(time.time()) + 3600))
            assert await stays_true(lambda: all(one.is_open for one in kept), 4)
            await client.refresh(RefreshRequest(user="bob", expired=True))
            await client.refresh(RefreshRequest(user="ann", expired=True))
            assert await endings(kept) == {(1008, "token expired")}
        assert await status(there, "ann") == 200, "its token is valid as before"
        with pytest.raises(CentApiResponseError) as caught:
            await client.refresh(RefreshRequest(user="ann", expire_at=1000))
        assert caught.value.code == 107
    finally:
        await client.close()


async def test_a_block_reaches_both_and_so_does_its_end(pair: list[GatewayProcess]) -> None:
    here, there = pair
    client = AsyncClient(f"http://127.0.0.1:{here.port}/api", KEY)
    try:
        urls = [url_of(gateway, "eve") for gateway in pair for _ in range(3)]
        async with connected(*urls, url_of(there, "ann")) as (*clients, other):
            await client.block_user(BlockUserRequest(user="eve", expire_at=int(time.time()) + 60))
            assert await endings(clients) == {(1008, "user blocked")}
            await wait_until(lambda: refused(there, "eve"))
            assert await refused(here, "eve")
            assert not await refused(there, "ann")
            assert other.is_open
        assert (await publish(there.port, f"/publish/a?token={token('eve')}", b"hello")).status == 403
        await client.unblock_user(UnblockUserRequest(user="eve"))
        for gateway in pair:
            await wait_until(lambda gateway=gateway: status_is(gateway, "eve", 200))
    finally:
        await client.close()


async def status_is(gateway: GatewayProcess, user: str, expected: int) -> bool:
    return await status(gateway, user) == expected


async def test_disconnect_and_unsubscribe_know_the_users_of_tokens(pair: list[GatewayProcess]) -> None:
    here, there = pair
    joe = "joe@shop.example/" + "x" * 200
    urls = [url_of(gateway, joe) for gateway in pair]
    async with connected(*urls, url_of(there, joe, "b"), url_of(there, "zoe")) as (a, b, other, zoe):
        await call(here.port, "unsubscribe", {"user": joe, "channel": "a"})
        assert await endings([a, b]) == {(4500, "unsubscribed")}
        assert other.is_open
        await call(here.port, "disconnect", {"user": joe})
        assert await other.ended() == (3503, "force disconnect")
        assert zoe.is_open


async def test_a_block_outlives_all_gateways(gateways: GatewayFactory, own_redis: RedisServer) -> None:
    settings = {**SETTINGS, "broker_url": own_redis.url}
    here, there = await gateways(2, **settings)
    await call(here.port, "block_user", {"user": "eve", "ttl": 600})
    await call(here.port, "block_user", {"user": "joe", "ttl": 600})
    await call(there.port, "unblock_user", {"user": "joe"})
    for gateway in (here, there):
        await gateway.terminate()
    (fresh,) = await gateways(1, **settings)
    assert (await status(fresh, "eve"), await status(fresh, "joe"), await status(fresh, "ann")) == (403, 200, 200)


async def test_a_block_outlives_a_redis_that_keeps_nothing(gateways: GatewayFactory, own_redis: RedisServer) -> None:
    """As long as one gateway knows it."""
    settings = {**SETTINGS, "broker_url": own_redis.url}
    here, there = await gateways(2, **settings)
    await call(here.port, "block_user", {"user": "eve", "ttl": 600})
    await wait_until(lambda: refused(there, "eve"))
    own_redis.restart()
    await wait_until(lambda: bool(own_redis.admin.exists("relay:blocked_users")))
    (fresh,) = await gateways(1, **settings)
    for gateway in (here, there, fresh):
        await gateway.ready()
        assert await status(gateway, "eve") == 403
        assert await status(gateway, "ann") == 200


async def test_a_gateway_that_missed_a_block_learns_of_it_when_it_hears_the_bus_again(
    gateways: GatewayFactory, own_redis: RedisServer, proxy_to: ProxyFactory
) -> None:
    proxy = await proxy_to(own_redis.port)
    (here,) = await gateways(1, **SETTINGS, broker_url=own_redis.url)
    (there,) = await gateways(
        1, **STAYING, **SETTINGS, broker_url=own_redis.url_of(port=proxy.port), broker_timeout=0.5
    )
    await call(here.port, "block_user", {"user": "joe", "ttl": 600})
    await wait_until(lambda: refused(there, "joe"))
    async with connected(url_of(there, "eve"), url_of(there, "ann")) as (eve, ann):
        proxy.black_hole = True
        await there.ready(False)
        await call(here.port, "block_user", {"user": "eve", "ttl": 600})
        await call(here.port, "unblock_user", {"user": "joe"})
        assert eve.is_open
        proxy.cut()
        proxy.black_hole = False
        assert await eve.ended() == (1008, "user blocked")
        await there.ready()
        assert (await status(there, "eve"), await status(there, "joe")) == (403, 200)
        assert ann.is_open


async def test_while_redis_is_away_nothing_is_blocked_and_a_back_end_is_told(
    gateways: GatewayFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await gateways(1, **SETTINGS, broker_url=own_redis.url, broker_timeout=0.5)
    await call(gateway.port, "block_user", {"user": "eve", "ttl": 600})
    for away, back in ((own_redis.pause, own_redis.resume), (own_redis.kill, own_redis.start)):
        away()
        for method, parameters in (("block_user", {"user": "ann", "ttl": 60}), ("unblock_user", {"user": "eve"})):
            error = (await call(gateway.port, method, parameters))["error"]
            assert (error["code"], "could not be kept" in error["message"]) == (100, True), error
        await gateway.ready(False)
        back()
        await gateway.ready()
        assert await status(gateway, "eve") == 403, "what it knows stays in force"
    assert await call(gateway.port, "unblock_user", {"user": "eve"}) == DONE
    await wait_until(lambda: status_is(gateway, "eve", 200))


async def test_a_redis_that_allows_no_such_key(gateways: GatewayFactory, own_redis: RedisServer) -> None:
    """As one whose rights were given for an older release: all goes on but blocks, and it is told."""
    rights = "resetchannels &relay:* -@all +publish +subscribe +unsubscribe +ping +info +client|setname"
    own_redis.add_user("old", "pw", rights)
    (gateway,) = await gateways(1, **SETTINGS, broker_url=own_redis.url.replace("//", "//old:pw@"))
    async with connected(url_of(gateway, "ann"), url_of(gateway, "bob")) as (ann, bob):
        await ann.send("hello")
        assert await bob.receive(1) == ["hello"]
    (record,) = gateway.records("blocked users refused")
    assert record["level"] == "warning"
    assert "Redis refuses the key relay:blocked_users" in record["error"]
    error = (await call(gateway.port, "block_user", {"user": "eve", "ttl": 60}))["error"]
    assert error["code"] == 103
    assert "Redis refuses the key relay:blocked_users" in error["message"]
    own_redis.allow("old", "~relay:blocked_users", "+zadd", "+zcard", "+zrange", "+zremrangebyscore", "+zscore")
    own_redis.allow("old", "+expire")
    assert await call(gateway.port, "block_user", {"user": "eve", "ttl": 60}) == DONE
    await wait_until(lambda: refused(gateway, "eve"))


async def test_workers_share_blocks(gateways: GatewayFactory, own_redis: RedisServer) -> None:
    (gateway,) = await gateways(1, **SETTINGS, broker_url=own_redis.url, workers=2)
    async with connected(*[url_of(gateway, "eve")] * 8) as clients:
        assert await call(gateway.port, "block_user", {"user": "eve", "ttl": 600}) == DONE
        assert await endings(clients) == {(1008, "user blocked")}

    async def refused_by_all() -> bool:
        return {await status(gateway, "eve") for _ in range(16)} == {403}

    await wait_until(refused_by_all)

    async def shown() -> bool:
        return "\nrelay_blocked_users 1.0\n" in (await get(gateway.port, "/metrics")).text

    await wait_until(shown)
