"""What a Redis says of itself: CPU time and commands."""

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
        url: of the Redis, with its password masked.
        problem: why it can't.
    """

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.url = url
        self.problem = problem

    def __str__(self) -> str:
        return f"Redis at {self.url}: {self.problem}"


@dataclass(frozen=True, slots=True)
class RedisReading:
    """One look at a Redis.

    Args:
        run_id: of its process; another after a restart.
        cpu_seconds: that its process has used.
        commands: that it has executed, without this one.
    """

    run_id: str
    cpu_seconds: float
    commands: int


class RedisMeter:
    """Asks one Redis.

    Args:
        url: of the Redis, as redis-py takes it.
        ca_file: PEM file of the authority to trust; None: that of the URL or those of the system.

    Raises:
        RedisMeterError: the URL is wrong.

    Attributes:
        url: with the password masked.
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

    async def read(self) -> RedisReading:
        """Return what it has used so far.

        Raises:
            RedisMeterError: it doesn't answer, or doesn't tell.
        """
        try:
            info = await self._client.info()
        except (RedisError, OSError) as error:
            raise RedisMeterError(self.url, mask_credentials(in_words(error))) from None
        try:
            cpu_seconds = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
            return RedisReading(str(info["run_id"]), cpu_seconds, int(info["total_commands_processed"]))
        except KeyError as missing:
            raise RedisMeterError(self.url, f"its INFO tells no {missing.args[0]}") from None

    async def close(self) -> None:
        """Leave it."""
        await self._client.aclose()
