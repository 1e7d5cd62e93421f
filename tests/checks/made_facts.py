"""Facts as tests make them: a machine that is large enough, and a Redis as deploy/redis.conf configures it."""

from __future__ import annotations

from typing import Any

from relay.brokers.redis.address import parse_address
from relay.brokers.redis.inspection import Inspection
from relay.checks.facts import Facts, Machine
from relay.settings import Settings

MACHINE = Machine(processors=4, memory_bytes=8 * 2**30, places=100_000, uvloop=True, accept_queue=4096)

INFO = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "maxmemory": str(512 * 2**20),
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
}

PARAMETERS = {
    "client-output-buffer-limit": "normal 67108864 33554432 30 slave 268435456 67108864 60 pubsub 67108864 16777216 30",
    "timeout": "0",
    "tcp-keepalive": "60",
    "save": "",
}

SECRET = "a secret of more than thirty-two bytes"

URL = "redis://relay:secret@redis.internal:6379"


def facts(machine: Machine = MACHINE, **settings: Any) -> Facts:
    """Return facts without a Redis."""
    return Facts(Settings(**settings), machine)


def redis_facts(
    url: str = URL,
    info: dict[str, str] | None = None,
    parameters: dict[str, str] | None = None,
    **settings: Any,
) -> Facts:
    """Return facts with a Redis.

    Args:
        url: where it is.
        info: what its INFO says otherwise than `INFO`.
        parameters: what its configuration has otherwise than `PARAMETERS`.
        **settings: of the gateway.
    """
    found = Inspection("10.0.0.9:6379", 0.0005, {**INFO, **(info or {})}, {**PARAMETERS, **(parameters or {})})
    return Facts(Settings(broker_url=url, **settings), MACHINE, redis_address=parse_address(url), redis=found)
