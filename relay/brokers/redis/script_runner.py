"""Pipelines of scripts and of other commands by redis-py, for what is seldom, and then much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from relay.brokers.redis.address import Address
from relay.brokers.redis.pool import make_pool
from relay.brokers.redis.scripts import Script
from relay.system_error import in_words

Command = tuple[str | bytes | int, ...]

_T = TypeVar("_T")


class Answers(NamedTuple):
    """What came back from one pipeline.

    Args:
        server: run id of the Redis that has answered; None: it doesn't say, or is a node of a cluster.
        replies: of each command its reply, or a `RedisError`.
    """

    server: str | None
    replies: list[Any]


class ScriptRunner:
    """Runs pipelines on a few connections of its own, and knows the tasks that do.

    Args:
        address: of the Redis.
        timeout: seconds to connect, to wait for an answer, and to wait for a connection.
        connections: how many there may be at once.
        servers: returns the run ids of the Redis that the bus is on now, as far as they are known. What another one
            answers, an old primary that was left behind say, says nothing about the bus.

    Attributes:
        redis: redis-py, for single commands.
        tasks: those that haven't ended.
    """

    def __init__(self, address: Address, timeout: float, connections: int, servers: Callable[[], set[str]]) -> None:
        self._address = address
        self._timeout = timeout
        self._servers = servers
        self._pool = make_pool(redis.asyncio, Retry(NoBackoff(), 0), address, timeout, connections)
        self.redis: Any = redis.asyncio.Redis(connection_pool=self._pool)
        self.tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
        """Return a task that does something, and that `close` ends. Its failure may be ignored."""
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, scripts: Sequence[Script], commands: Iterable[Command]) -> Answers:
        """Send commands in one pipeline, and return the replies.

        Args:
            scripts: that the commands call.
            commands: in their order.

        Raises:
            RedisError: none has a reply, or it was another Redis than the bus is on.
        """
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("INFO", "server")
            for script in scripts:
                # Each time: it costs no more than to find out that the script has been forgotten.
                pipeline.execute_command("SCRIPT LOAD", script.source)
            for command in commands:
                pipeline.execute_command(*command)
            info, *replies = await pipeline.execute(raise_on_error=False)
        server = _run_id(info)
        # Nodes of a cluster are many; see `relay.brokers.redis.server`.
        if isinstance(info, dict) and info.get("redis_mode") != "cluster" and not self._servers() <= {server}:
            raise RedisConnectionError("another Redis has answered than the one that the bus is on")
        return Answers(server, replies[len(scripts) :])

    async def explain(self, error: RedisError) -> str:
        """Return what an error means. The address is looked up again with the next connection."""
        await self._pool.disconnect(inuse_connections=False)
        if isinstance(error, RedisTimeoutError):
            return f"no answer from {self._address} within {self._timeout:g} s"
        return f"Redis refuses or fails: {in_words(error)}"

    async def close(self) -> None:
        """End all tasks, and disconnect."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        # redis-py takes some cancellations for its own, and goes on; without connections it ends.
        await self._pool.disconnect()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved here, because its caller may have left


def _run_id(info: Any) -> str | None:
    if not isinstance(info, dict) or info.get("redis_mode") == "cluster":
        return None
    run_id: str | None = info.get("run_id")
    return run_id
