"""Reads who is on a channel from Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from relay.brokers.redis.presence_scripts import presence_keys
from relay.brokers.redis.script_runner import Command, ScriptRunner
from relay.logs import Logger
from relay.member import Member
from relay.metrics.counters import Counters

SCANNED: Final = 512
"""Members that Redis returns at once, about; with `info` at its largest they are 2 MiB."""

SCANS: Final = 8
"""In one pipeline: the replies are in memory all at once."""

SMALL_SCANS: Final = 64
"""In one pipeline, each of `SCANNED * SCANS / SMALL_SCANS` fields: most of the hashes of one gateway are small."""

log = Logger("relay.bus")

_decoder = msgspec.json.Decoder(Member)


class PresenceReader:
    """Reads members part by part: neither Redis nor this process does much in one go.

    Args:
        runner: of the Redis.
        prefix: of the bus.
        counters: where unreadable members are counted.
    """

    def __init__(self, runner: ScriptRunner, prefix: str, counters: Counters) -> None:
        self._runner = runner
        self._prefix = prefix
        self._counters = counters

    async def read(self, channel: str, take: Callable[[Member], None]) -> None:
        """Go through the members of gateways that live.

        Args:
            channel: its name.
            take: called for each; one that moves meanwhile may come twice.

        Raises:
            RedisError: some could not be read.
        """
        # Where the hash of each is to be read on.
        cursors = dict.fromkeys(await self._living(channel), 0)
        while cursors:
            batch = list(cursors)[:SCANS]
            scans: list[Command] = [
                ("HSCAN", presence_keys(self._prefix, channel, name).members, cursors[name], "COUNT", SCANNED)
                for name in batch
            ]
            for name, (cursor, members) in zip(batch, await self._ask(scans), strict=True):
                for client, text in members.items():
                    self._take(channel, client, text, take)
                if cursor:
                    cursors[name] = cursor
                else:
                    del cursors[name]
            await asyncio.sleep(0)  # a part takes its time: others have their turn before the next one

    async def fields(self, keys: Iterable[bytes]) -> dict[bytes, set[bytes]]:
        """Return the fields of hashes; none of those that can't be read: neither can they be changed."""
        found: dict[bytes, set[bytes]] = {key: set() for key in keys}
        cursors = dict.fromkeys(found, 0)
        while cursors:
            batch = list(islice(cursors, SMALL_SCANS))
            count = SCANNED * SCANS // SMALL_SCANS
            scans: list[Command] = [("HSCAN", key, cursors[key], "COUNT", count) for key in batch]
            for key, reply in zip(batch, (await self._runner.run((), scans)).replies, strict=True):
                cursors[key] = 0
                if not isinstance(reply, RedisError):
                    cursors[key], fields = reply
                    found[key].update(fields)
                if not cursors[key]:
                    del cursors[key]
            await asyncio.sleep(0)
        return found

    async def _living(self, channel: str) -> list[str]:
        """Return the ids of gateways that live."""
        key = presence_keys(self._prefix, channel, "").gateways
        (seconds, microseconds), scores = await self._ask([("TIME",), ("ZRANGE", key, 0, -1, "WITHSCORES")])
        now = seconds * 1000 + microseconds // 1000
        pairs = zip(scores[::2], scores[1::2], strict=True)
        return [name.decode(errors="replace") for name, dead_at in pairs if float(dead_at) >= now]

    async def _ask(self, commands: list[Command]) -> list[Any]:
        replies = (await self._runner.run((), commands)).replies
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def _take(self, channel: str, client: bytes, text: bytes, take: Callable[[Member], None]) -> None:
        try:
            member = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            self._counters.bus_errors += 1
            log.warning("member refused", channel=channel, client=client.decode(errors="replace"), error=str(error))
        else:
            take(member)
