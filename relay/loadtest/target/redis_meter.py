"""Reads CPU time and number of commands from a Redis' INFO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from relay.errors import RelayError
from relay.redaction import mask_credentials
from relay.system_error import in_words

ANSWER_SECONDS: Final = 3.0


class RedisMeterError(RelayError):
    """A Redis that can't be watched.

    Args:
        url: URL of the Redis, with its password masked.
        problem: why it can't be watched.
    """

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.url = url
        self.problem = problem

    def __str__(self) -> str:
        return f"Redis at {self.url}: {self.problem}"


@dataclass(frozen=True, slots=True)
class RedisCounters:
    """The counters of a Redis at one moment.

    Args:
        run_id: id of its process; another one after a restart.
        cpu_seconds: CPU seconds that its process has used.
        commands: commands that it has executed, without this INFO.
    """

    run_id: str
    cpu_seconds: float
    commands: int


class RedisMeter:
    """Reads one Redis.

    Args:
        url: URL of the Redis, as redis-py takes it.
        ca_file: PEM file of the authority to trust; None: the URL's, or those of the system.

    Raises:
        RedisMeterError: the URL is wrong.

    Attributes:
        url: URL with the password masked.
    """

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        self.url = mask_credentials(url)
        options: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
        if ca_file is not None:
            options["ssl_ca_certs"] = ca_file
        try:
            self._client = redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
        except ValueError as error:
            raise RedisMeterError(self.url, mask_credentials(in_words(error))) from None

    async def read(self) -> RedisCounters:
        """Return its counters.

        Raises:
            RedisMeterError: it doesn't answer, or its INFO lacks a counter.
        """
        try:
            info = await self._client.info()
        except (RedisError, OSError) as error:
            raise RedisMeterError(self.url, mask_credentials(in_words(error))) from None
        try:
            cpu_seconds = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
            return RedisCounters(str(info["run_id"]), cpu_seconds, int(info["total_commands_processed"]))
        except KeyError as missing:
            raise RedisMeterError(self.url, f"its INFO tells no {missing.args[0]}") from None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
