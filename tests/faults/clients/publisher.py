"""What publishers of all kinds have in common: a message, its outcome, and the next one."""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar

from tests.faults.operations import Acknowledged, Published, Refused
from tests.faults.payload import Payload, digest_of, make_payload
from tests.faults.recorder import Recorder


class Fate(enum.Enum):
    """What became of a message that was not acknowledged."""

    REFUSED = enum.auto()
    UNKNOWN = enum.auto()


class Publisher(ABC):
    """Publishes to a channel, one message after the other, until it is stopped.

    Args:
        name: its own; messages are named after it.
        channel: where it publishes.
        interval: seconds from one message to the next.
        size: bytes of a message.
        recorder: where it notes everything.
        random: chooses pauses and gateways.

    Attributes:
        keyed: whether it sends a message again until it has an outcome, with an idempotency key.
        binary: whether some of its messages are binary.
    """

    keyed: ClassVar[bool] = False
    binary: ClassVar[bool] = True

    def __init__(self, name: str, channel: str, interval: float, size: int, recorder: Recorder, random: Random) -> None:
        self.name = name
        self.channel = channel
        self._interval = interval
        self._size = size
        self._recorder = recorder
        self._random = random
        self._number = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Publish no more; `run` returns when the last message has its outcome."""
        self._stopping.set()

    async def run(self) -> None:
        """Publish until stopped."""
        while not self._stopping.is_set():
            await self.publish(self._size)
            await self._pause(self._random.uniform(0.5, 1.5) * self._interval)
        await self.close()

    async def publish(self, size: int) -> str | None:
        """Publish a message of so many bytes; return its label, None: it was not acknowledged."""
        label = f"{self.name}.{self._number}"
        binary = self.binary and self._number % 4 == 3
        self._number += 1
        payload = make_payload(label, size, binary=binary)
        self._recorder.note(
            Published(
                at=self._recorder.now(),
                message=label,
                publisher=self.name,
                channel=self.channel,
                digest=digest_of(payload),
                keyed=self.keyed,
            )
        )
        outcome = await self._send(label, payload)
        if outcome is Fate.REFUSED:
            self._recorder.note(Refused(at=self._recorder.now(), message=label))
        if isinstance(outcome, Fate):
            return None
        self._recorder.note(Acknowledged(at=self._recorder.now(), message=label, position=outcome))
        return label

    async def close(self) -> None:  # noqa: B027  # most use nothing of their own
        """Give back what it uses."""

    @abstractmethod
    async def _send(self, label: str, payload: Payload) -> str | Fate | None:
        """Send a message; return its position, None: the relay has named none; or what else became of it."""

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
