"""A subscriber straight on Redis, which no fault but its end disturbs: what it hears was published."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.faults.record import Record
from tests.harness.conditions import wait_until
from tests.harness.history import label_of
from tests.harness.redis_server import RedisServer

ENVELOPE_BYTES = 19
"""What a gateway writes in front of a payload."""


class Witness:
    """Notes what is published, whoever is deaf. An async context manager.

    Args:
        server: where it listens.
        record: where it notes messages, and when it lost sight.
        prefix: of the channels on Redis.
    """

    def __init__(self, server: RedisServer, record: Record, prefix: str = "relay:") -> None:
        self._server = server
        self._record = record
        self._pattern = prefix + "*"
        self._task: asyncio.Task[None] | None = None
        self._listening = False

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def listen(self) -> None:
        """Listen to a Redis that has just started, before anybody may publish there."""
        if self._task is not None:
            await self._task
        self._task = asyncio.create_task(self._listen())
        await wait_until(lambda: self._listening, what="the witness listens")

    async def _listen(self) -> None:
        # It must not come back by itself: what it missed would be unknown.
        client = Redis.from_url(self._server.url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        try:
            async with client.pubsub() as pubsub:
                await pubsub.psubscribe(self._pattern)
                async for message in pubsub.listen():
                    if message["type"] == "psubscribe":
                        self._listening = True
                    else:
                        self._note(message["data"])
        except RedisConnectionError:
            self._record.blind.append(time.monotonic())
        finally:
            self._listening = False
            await client.aclose()

    def _note(self, data: bytes) -> None:
        with suppress(ValueError):  # a probe, or what gateways tell each other
            self._record.witnessed.setdefault(label_of(data[ENVELOPE_BYTES:]), time.monotonic())
