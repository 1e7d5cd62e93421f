"""How well Redis keeps what it is given, and what that means for histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis

from relay.brokers.redis.link import pack
from relay.brokers.redis.server import fields_of
from relay.logs import Logger

log = Logger("relay.bus")


class Durability:
    """Asks Redis for its memory policy and its persistence, and logs what speaks against the promise of histories.

    Each finding is logged once, not with each link. That something may be lost is never a lie: it is then told as a new
    epoch, so clients learn that messages may be missing.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._replies: list[Any] = []

    def look(self, ask: Callable[[bytes, Callable[[Any], None]], None]) -> None:
        """Ask, and log what is found."""
        self._replies = []
        for command in (("INFO", "memory"), ("INFO", "persistence"), ("CONFIG", "GET", "save")):
            ask(pack(*command), self._answered)

    def _answered(self, reply: Any) -> None:
        self._replies.append(reply)
        if len(self._replies) == 3:
            memory, persistence, save = self._replies
            self._judge_memory(memory)
            self._judge_persistence(persistence, save)

    def _judge_memory(self, info: Any) -> None:
        if isinstance(info, hiredis.ReplyError):
            self._tell("the memory policy of Redis is unknown", error=str(info), check="maxmemory-policy noeviction")
            return
        fields = fields_of(info)
        policy = fields.get("maxmemory_policy", "noeviction")
        # Without a limit nothing is evicted, whatever the policy.
        if policy != "noeviction" and fields.get("maxmemory", "0") != "0":
            self._tell(
                "Redis may evict histories",
                policy=policy,
                meaning="clients of such a channel are told that they may have missed messages",
                better="maxmemory-policy noeviction",
            )

    def _judge_persistence(self, info: Any, save: Any) -> None:
        if isinstance(info, hiredis.ReplyError):
            self._tell("the persistence of Redis is unknown", error=str(info), check="appendonly yes")
            return
        if fields_of(info).get("aof_enabled", "0") != "0":
            return
        if isinstance(save, hiredis.ReplyError):
            self._tell("the persistence of Redis is unknown", error=str(save), check="appendonly yes")
            return
        snapshots = isinstance(save, list) and len(save) == 2 and bool(save[1])
        self._tell(
            "Redis loses histories when it restarts",
            persistence="snapshots" if snapshots else "none",
            meaning="clients are told that they may have missed messages, and idempotency keys are forgotten",
            better="appendonly yes",
        )

    def _tell(self, event: str, **fields: str) -> None:
        if event not in self._told:
            self._told.add(event)
            log.warning(event, **fields)
