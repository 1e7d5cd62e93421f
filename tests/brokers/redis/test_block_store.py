"""The store of blocked users in a Redis that dies, falls silent, or allows too little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from relay.brokers.block_store import MAX_BLOCK_SECONDS, Blocks, BlockStoreError
from relay.brokers.redis import block_store
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.block_store import RedisBlockStore
from tests.conftest import RedisFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import stays_true
from tests.harness.redis_server import RedisServer

KEY = "relay:blocked_users"
RIGHTS = f"resetkeys ~{KEY} -@all +zadd +zcard +zrange +zremrangebyscore +zscore +expire"


@pytest_asyncio.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisBlockStore]:
    """A store that doesn't wait for long."""
    made = store_at(own_redis.url)
    yield made
    await made.close()


def store_at(url: str) -> RedisBlockStore:
    return RedisBlockStore(parse_address(url), "relay:", 0.5)


async def test_what_is_kept_goes_away_by_itself(store: RedisBlockStore, own_redis: RedisServer) -> None:
    """Also when no gateway ever comes back to tidy up."""
    now = time.time()
    await store.block("ann", now + 60, now)
    assert MAX_BLOCK_SECONDS - 60 < own_redis.admin.ttl(KEY) <= MAX_BLOCK_SECONDS
    assert own_redis.admin.keys() == [KEY.encode()]


async def test_what_is_over_is_dropped_with_the_next_block(store: RedisBlockStore, own_redis: RedisServer) -> None:
    now = time.time()
    await store.block("ann", now + 1, now)
    await store.block("bob", now + 1, now)
    await store.unblock("bob", now)
    await store.block("eve", now + 9000, now + 3602)
    assert own_redis.admin.zrange(KEY, 0, -1) == [b"eve"]


async def test_a_dead_redis_is_an_error_and_a_new_one_is_used(store: RedisBlockStore, own_redis: RedisServer) -> None:
    now = time.time()
    await store.block("ann", now + 60, now)
    own_redis.kill()
    for work in (store.block("bob", now + 60, now), store.unblock("ann", now), store.read(now)):
        with pytest.raises(BlockStoreError) as caught:
            await work
        assert not caught.value.refused
        assert "127.0.0.1" in str(caught.value) or "closed" in str(caught.value)
    own_redis.start()
    await store.restore({"ann": now + 60}, now)
    assert await store.read(now) == Blocks({"ann": now + 60})


async def test_a_silent_redis_is_an_error_in_time(store: RedisBlockStore, own_redis: RedisServer) -> None:
    now = time.time()
    await store.read(now)
    own_redis.pause()
    try:
        with pytest.raises(BlockStoreError, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.5 s"):
            await store.block("ann", now + 60, now)
    finally:
        own_redis.resume()
    await store.block("bob", now + 60, now)
    assert "bob" in (await store.read(now)).blocked, "what was answered too late is not taken for the next answer"


async def test_commands_at_the_same_time_share_few_connections(store: RedisBlockStore, own_redis: RedisServer) -> None:
    now = time.time()
    await asyncio.gather(*[store.block(f"user {number}", now + 60, now) for number in range(40)])
    assert len((await store.read(now)).blocked) == 40
    assert len(own_redis.admin.client_list()) - 1 <= block_store.CONNECTIONS


async def test_a_user_of_redis_with_the_rights_of_the_page_can_do_everything(own_redis: RedisServer) -> None:
    store = store_at(own_redis.add_user("gateway", "pw", RIGHTS))
    now = time.time()
    try:
        await store.block("ann", now + 60, now)
        await store.unblock("ann", now)
        await store.restore({"bob": now + 60}, now)
        assert await store.read(now) == Blocks({"bob": now + 60}, frozenset({"ann"}))
    finally:
        await store.close()


@pytest.mark.parametrize("rights", ["-@all +publish", "resetkeys ~other -@all +@sortedset +expire"])
async def test_a_user_of_redis_without_the_rights_is_told_so(own_redis: RedisServer, rights: str) -> None:
    store = store_at(own_redis.add_user("gateway", "secret-password", rights))
    now = time.time()
    try:
        for work in (
            store.block("ann", now + 60, now),
            store.unblock("ann", now),
            store.restore({"ann": now + 60}, now),
            store.read(now),
        ):
            with pytest.raises(BlockStoreError, match=f"Redis refuses the key {KEY}: ") as caught:
                await work
            assert caught.value.refused
            assert "permission" in str(caught.value)
            assert "ann" not in str(caught.value)
            assert "secret" not in str(caught.value)
    finally:
        await store.close()


async def test_a_key_of_another_program_is_an_error(store: RedisBlockStore, own_redis: RedisServer) -> None:
    own_redis.admin.set(KEY, "something else")
    now = time.time()
    for work in (store.block("ann", now + 60, now), store.read(now)):
        with pytest.raises(BlockStoreError, match="Redis refuses the key") as caught:
            await work
        assert not caught.value.refused


async def test_members_that_another_program_has_written_are_read_within_bounds(
    store: RedisBlockStore, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_store, "READ_LIMIT", 10)
    now = time.time()
    own_redis.admin.zadd(KEY, {b"\xff\xfe %d" % number: now + number for number in range(1, 100)})
    own_redis.admin.zadd(KEY, {f"gone {number}": -now - number for number in range(1, 100)})
    found = await store.read(now)
    assert len(found.blocked) == 10
    assert not found.unblocked


async def test_a_replica_is_no_place_to_write_to(own_redis: RedisServer, redis_with: RedisFactory) -> None:
    replica = redis_with()
    replica.follow(own_redis)
    store = store_at(replica.url)
    now = time.time()
    try:
        with pytest.raises(BlockStoreError, match="read only replica"):
            await store.block("ann", now + 60, now)
    finally:
        await store.close()


async def test_it_is_reached_as_the_bus_is(
    redis_with: RedisFactory, certificate_authority: CertificateAuthority
) -> None:
    """By TLS, by a socket file, with a password, and in another database."""
    secure = redis_with(authority=certificate_authority, password="pass word")
    local = redis_with(unix_socket=True)
    now = time.time()
    for address in (
        parse_address(secure.url_of(db=3), str(certificate_authority.ca_file)),
        parse_address(local.unix_url),
    ):
        store = RedisBlockStore(address, "relay:", 5.0)
        try:
            await store.block("ann", now + 60, now)
            assert await store.read(now) == Blocks({"ann": now + 60})
        finally:
            await store.close()
    assert local.admin.exists(KEY)


async def test_a_command_that_is_cancelled_ends(own_redis: RedisServer) -> None:
    """redis-py takes most cancellations for its own affairs: a gateway could never be stopped."""
    now = time.time()
    cancelled = 0
    for number in range(150):
        store = store_at(own_redis.url)
        if number % 2:
            await store.read(now)
        task = asyncio.create_task(store.block("ann", now + 60, now) if number % 3 else store.read(now))
        for _ in range(number % 30):
            await asyncio.sleep(0)
        if task.cancel():
            cancelled += 1
            await asyncio.wait((task,))
            assert task.cancelled()
        assert isinstance(await store.read(now), Blocks), "its answer is not taken for the next one"
        await store.close()
    assert cancelled > 50


async def test_a_command_that_waits_for_a_silent_redis_can_be_cancelled(
    store: RedisBlockStore, own_redis: RedisServer
) -> None:
    now = time.time()
    await store.read(now)
    own_redis.pause()
    try:
        tasks = [asyncio.create_task(store.read(now)) for _ in range(5)]
        assert await stays_true(lambda: not any(task.done() for task in tasks), 0.05)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
    finally:
        own_redis.resume()
    assert isinstance(await store.read(now), Blocks)
