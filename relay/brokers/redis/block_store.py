"""Blocked users in Redis: one sorted set, whose scores are times.

A blocked user has the time until which it is blocked. One that was unblocked has the time until which that is to be
known, as a negative number. So all that is over has scores between minus now and now, and goes with one command. There
is no script: a gateway's Redis user needs no right to run any.

redis-py, as for publishers, because all of this is rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from relay.brokers.block_store import (
    MAX_BLOCK_SECONDS,
    MAX_BLOCKED,
    UNBLOCKED_SECONDS,
    Blocks,
    BlockStore,
    BlockStoreError,
    TooManyBlocked,
)
from relay.brokers.redis.address import Address
from relay.brokers.redis.pool import make_pool
from relay.system_error import in_words

KEY: Final = "blocked_users"
"""Name of the sorted set, behind the prefix of the bus."""

CONNECTIONS: Final = 2
"""To Redis: one command waits for another, rather than that a batch of them opens many."""

READ_LIMIT: Final = 2 * MAX_BLOCKED
"""Members that are read at most. Other programs may have written there; and gateways that block users at the same time
can get a little beyond `MAX_BLOCKED`."""

_T = TypeVar("_T")


class RedisBlockStore(BlockStore):
    """The blocked users of a deployment.

    Args:
        address: of the Redis.
        prefix: of the bus.
        timeout: seconds to connect, and to wait for an answer.
    """

    shared = True

    def __init__(self, address: Address, prefix: str, timeout: float) -> None:
        self._key = f"{prefix}{KEY}"
        self._address = address
        self._timeout = timeout
        self._pool = make_pool(redis.asyncio, Retry(NoBackoff(), 0), address, timeout, CONNECTIONS)
        self._redis: Any = redis.asyncio.Redis(connection_pool=self._pool)

    async def block(self, user: str, until: float, now: float) -> None:
        """See `BlockStore.block`."""
        await self._run(lambda: self._block(user, until, now))

    async def unblock(self, user: str, now: float) -> None:
        """See `BlockStore.unblock`."""
        # Only where there is a member: each user that a back end unblocks for no reason would be one.
        await self._run(lambda: self._redis.zadd(self._key, {user: -(now + UNBLOCKED_SECONDS)}, xx=True))

    async def restore(self, blocked: Mapping[str, float], now: float) -> None:
        """See `BlockStore.restore`."""
        await self._run(lambda: self._add(blocked, now, nx=True))

    async def read(self, now: float) -> Blocks:
        """See `BlockStore.read`."""
        # The end of the set, as that is where the blocked ones are.
        found = await self._run(lambda: self._redis.zrange(self._key, -READ_LIMIT, -1, withscores=True))
        blocked: dict[str, float] = {}
        unblocked: set[str] = set()
        for member, score in found:
            user = member.decode(errors="replace")
            if score > now:
                blocked[user] = score
            elif score < -now:
                unblocked.add(user)
        return Blocks(blocked, frozenset(unblocked))

    async def close(self) -> None:
        """See `BlockStore.close`."""
        await self._pool.disconnect()

    async def _block(self, user: str, until: float, now: float) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            self._drop_what_is_over(pipeline, now)
            pipeline.zcard(self._key)
            pipeline.zscore(self._key, user)
            *_, members, score = await _results(pipeline)
        if score is None and members >= MAX_BLOCKED:
            raise TooManyBlocked
        await self._add({user: until}, now)

    async def _add(self, users: Mapping[str, float], now: float, *, nx: bool = False) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            self._drop_what_is_over(pipeline, now)
            pipeline.zadd(self._key, dict(users), nx=nx)
            # No block is longer, so nothing is lost with the key, and nothing is left of a deployment that is gone.
            pipeline.expire(self._key, MAX_BLOCK_SECONDS)
            await _results(pipeline)

    def _drop_what_is_over(self, pipeline: Any, now: float) -> None:
        pipeline.zremrangebyscore(self._key, -now, now)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do something with Redis, and say what its errors mean.

        Raises:
            BlockStoreError: it did not work.
        """
        try:
            return await self._uncancelled(work())
        except NoPermissionError as error:
            raise BlockStoreError(f"Redis refuses the key {self._key}: {in_words(error)}", refused=True) from error
        except RedisTimeoutError as error:
            await self._pool.disconnect(inuse_connections=False)
            raise BlockStoreError(f"no answer from {self._address} within {self._timeout:g} s") from error
        except ResponseError as error:
            # The address is looked up again with the next connection: a replica is no place to write to.
            await self._pool.disconnect(inuse_connections=False)
            raise BlockStoreError(f"Redis refuses the key {self._key}: {in_words(error)}") from error
        except RedisError as error:
            raise BlockStoreError(in_words(error)) from error

    async def _uncancelled(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what comes of a command; being cancelled, end it for certain.

        redis-py takes most cancellations for an event of its own and goes on, and the task would not notice: one
        that reads again and again could never be ended.
        """
        task = asyncio.create_task(work, name="relay blocked users")
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            # What is left on its connection must not be taken for the next answer.
            await self._pool.disconnect()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()
            raise
        return task.result()


async def _results(pipeline: Any) -> list[Any]:
    """Return the results of all commands; the library's own error would repeat the names of users."""
    results: list[Any] = await pipeline.execute(raise_on_error=False)
    for result in results:
        if isinstance(result, RedisError):
            raise result
    return results
