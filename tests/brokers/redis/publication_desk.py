"""Publications on a link made by hand, with everything around them in the test's hands."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import hiredis

from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.durability import Durability
from relay.brokers.redis.link import Link, pack
from relay.brokers.redis.publications import Publications
from relay.brokers.redis.publish_queue import HIGH_WATER_BYTES
from relay.brokers.redis.scripting import Scripting
from relay.brokers.redis.server import Server
from relay.metrics.counters import Counters
from tests.brokers.recording import RecordingSource


class HandLink:
    """A link whose writes are kept, and whose state the test sets."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.writable = True
        self.aborted: list[str] = []
        self.server = Server()

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)


class Desk:
    """Publications with everything around them in the test's hands."""

    def __init__(self, *, publish_timeout: float = 5.0, buffer_bytes: int = 4 * HIGH_WATER_BYTES) -> None:
        self.counters = Counters()
        self.gate = True
        self.resumed = 0
        self.demotions = 0
        self.scripting = Scripting(b"PUBLISH", "relay:", None, Durability())
        self.publications = Publications(
            fixed(Address()),
            3.0,
            1.0,
            self.counters,
            gate=lambda: self.gate,
            writable=self._resume,
            demoted=self._demote,
            publish_timeout=publish_timeout,
            buffer_bytes=buffer_bytes,
            scripting=self.scripting,
        )
        self._reader = hiredis.Reader()

    def _resume(self) -> None:
        self.resumed += 1

    def _demote(self) -> None:
        self.demotions += 1

    def connect(self) -> HandLink:
        """Open a link."""
        link = HandLink()
        self.publications.link = cast(Link, link)
        self.publications.problem = None
        self.publications.update()
        return link

    def lose(self) -> None:
        """Break the link."""
        self.publications.link = None
        self.publications.problem = "lost"
        self.publications.lost("lost")

    def answer(self, *replies: bytes) -> None:
        """Let Redis answer."""
        self._reader.feed(b"".join(replies))
        self.publications.replies_received(self._reader.gets)

    def say(self, source: RecordingSource | None, payload: Any) -> bool:
        """Publish."""
        return self.publications.publish(pack("PUBLISH", "c", payload), source)


async def tick() -> None:
    """Let what was called soon happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


ONE = b":1\r\n"
