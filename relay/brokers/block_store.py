"""The contract of a store of blocked users: kept where the bus is, so that all gateways have the same.

`Broker.block_store` is the one of a bus. One suite, `tests/brokers/test_block_store.py`, runs over all. Nothing
of it is on the way of a message, or of a client that comes in: gateways keep a copy (`relay.control.blocked_users`).
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from relay.errors import BrokerError

MAX_BLOCKED: Final = 10_000
"""Users that may be blocked at once. Each gateway keeps all of them, and reads all of them again from time to time."""

MAX_BLOCK_SECONDS: Final = 366 * 24 * 3600
"""How long a user may be blocked: what is kept of it must go away by itself one day."""

UNBLOCKED_SECONDS: Final = 3600.0
"""How long it is known that a user was unblocked: a gateway that has missed it can tell that from a loss."""


class BlockStoreError(BrokerError):
    """The store could not be read or changed; a change may have been made all the same.

    Args:
        detail: why, for logs and for back ends.
        refused: whether the bus has answered that it allows this gateway no such store.
    """

    def __init__(self, detail: str, *, refused: bool = False) -> None:
        super().__init__(detail, refused)
        self.detail = detail
        self.refused = refused

    def __str__(self) -> str:
        return self.detail


class TooManyBlocked(BrokerError):
    """Another user can't be blocked: `MAX_BLOCKED` are, or were until less than `UNBLOCKED_SECONDS` ago."""

    def __str__(self) -> str:
        return f"more than {MAX_BLOCKED} users would be blocked"


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a store holds.

    Args:
        blocked: users, and until when they are blocked, in seconds since 1970.
        unblocked: users that were unblocked less than `UNBLOCKED_SECONDS` ago.
    """

    blocked: Mapping[str, float] = field(default_factory=dict)
    unblocked: frozenset[str] = frozenset()


class BlockStore(abc.ABC):
    """Which users are blocked, and until when.

    A change is there for all readers once it has been answered. A bus may lose what it holds, such as a Redis that
    keeps nothing through its restart: then a gateway that still knows it can `restore` it.

    Attributes:
        shared: whether other processes read and change it, or have before. Else it is empty at first.
    """

    shared: bool

    @abc.abstractmethod
    async def block(self, user: str, until: float, now: float) -> None:
        """Block a user, also one who is blocked already.

        Args:
            user: name of the user.
            until: seconds since 1970, `MAX_BLOCK_SECONDS` from now at most.
            now: seconds since 1970.

        Raises:
            TooManyBlocked: nothing was changed.
            BlockStoreError: it is not known to have been changed.
        """

    @abc.abstractmethod
    async def unblock(self, user: str, now: float) -> None:
        """Unblock a user; nothing happens when it isn't blocked. Arguments and `BlockStoreError` as for `block`."""

    @abc.abstractmethod
    async def restore(self, blocked: Mapping[str, float], now: float) -> None:
        """Block users again that the store has lost, but none of which it knows something; see `block`."""

    @abc.abstractmethod
    async def read(self, now: float) -> Blocks:
        """Return what it holds; see `block`."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Let go of its connections."""
