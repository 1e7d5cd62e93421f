"""Gateways that share a store of blocked users."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from relay.brokers import BrokerOptions, BusState
from relay.brokers.block_store import Blocks, BlockStore, BlockStoreError
from relay.brokers.memory import MemoryBlockStore, MemoryBroker
from relay.control import blocked_users as module
from relay.control.blocked_users import BlockedUsers, UserBlocked
from relay.errors import Refused
from relay.metrics.counters import Counters
from relay.node import Node

NOW = 1_900_000_000.0


class SharedStore(MemoryBlockStore):
    """A store that others have written to, and that can be lost, silent or forbidden.

    Attributes:
        fails: what every call raises; None: nothing.
        silent: cleared while calls wait.
        reads: how often it was read.
        restored: what was restored, in order.
    """

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.fails: BlockStoreError | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.reads = 0
        self.restored: list[Mapping[str, float]] = []

    async def read(self, now: float) -> Blocks:
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        found = await super().read(now)
        await self.answers.wait()
        return found

    async def restore(self, blocked: Mapping[str, float], now: float) -> None:
        if self.fails is not None:
            raise self.fails
        self.restored.append(blocked)
        await super().restore(blocked, now)

    def lose_everything(self) -> None:
        self._scores = {}


class Gateway:
    """What stands around the list.

    Args:
        store: of the bus.

    Attributes:
        now: seconds since 1970; may be set.
        links: whether each link to the bus is open.
        closed: users whose clients were to be closed.
    """

    def __init__(self, store: BlockStore, monkeypatch: pytest.MonkeyPatch, read_seconds: float = 60.0) -> None:
        monkeypatch.setattr(MemoryBroker, "block_store", store)
        monkeypatch.setattr(MemoryBroker, "state", property(lambda _: BusState(self.links, 0, {})))
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
        self.now = NOW
        self.links = {"subscriptions": True, "publications": True}
        self.counters = Counters()
        self.closed: list[str] = []
        node = Node(BrokerOptions("memory://"), self.counters)
        self.users = BlockedUsers(
            node, lambda command: self.closed.append(command.user), now=lambda: self.now, read_seconds=read_seconds
        )

    def refused(self, user: str) -> int:
        """Return the status with which a user is refused; 0: it isn't."""
        try:
            self.users.check(user)
        except UserBlocked:
            return 403
        except Refused as error:
            return error.status
        return 0

    async def __aenter__(self) -> Gateway:
        self._task = asyncio.create_task(self.users.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        (result,) = await asyncio.gather(self._task, return_exceptions=True)
        assert result is None or isinstance(result, asyncio.CancelledError), result
