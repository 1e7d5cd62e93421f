"""Which users are refused for now: this gateway's copy of what the bus keeps.

A client that comes in is compared with the copy, so it never waits for the bus. Commands keep it up to date. One that
was missed, while this gateway didn't hear the bus, is made up for by reading everything again: after each reconnect,
and from time to time. What was read then may be less than what this gateway knows, because the bus has lost it: that
is written again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

from relay.brokers.block_store import MAX_BLOCKED, UNBLOCKED_SECONDS, Blocks, BlockStoreError
from relay.control.commands import BlockCommand
from relay.control.messages import ControlMessageError, UnblockCommand
from relay.errors import Refused, Unavailable
from relay.logs import Logger
from relay.node import Node
from relay.pauses import pause

READ_SECONDS: Final = 60.0
"""Between two readings while the bus is heard. Each gateway adds up to half of it, or all would read at once."""

SETTLE_SECONDS: Final = 5.0
"""After the first reading over a new link: another gateway may write again what the bus had lost. By then all have come
back to it."""

RETRY_SECONDS: Final = 1.0
"""After one that has failed."""

SOON_SECONDS: Final = 0.1
"""How often it is looked whether the list can be read at last: the gateway isn't ready before."""

LOOK_SECONDS: Final = 0.5
"""How often it is looked whether the bus was away."""

MEMORY_SECONDS: Final = UNBLOCKED_SECONDS / 2
"""A gateway that could not read for longer forgets what the bus doesn't know: it may have missed that it was undone."""

REPORT_SECONDS: Final = 60.0
"""How often it is logged that the list can't be read."""

log = Logger("relay.control")


class UserBlocked(Refused):
    """A client is refused because its user is blocked: with 403."""

    def __init__(self) -> None:
        super().__init__(403, "this user is blocked for now")
        self.cause = "blocked"


class BlockedUsers:
    """The users that this gateway refuses.

    Until it knows them, it refuses every client that has a user, and the gateway isn't ready. Where the bus allows this
    gateway no store, it knows what commands say, and nothing from before its start.

    Args:
        node: its bus has the store.
        newly_blocked: called with each user that was found to be blocked by reading: its clients are to be closed.
        now: returns the time in seconds since 1970.
        read_seconds: between two readings; see `READ_SECONDS`.
    """

    def __init__(
        self,
        node: Node,
        newly_blocked: Callable[[BlockCommand], None],
        *,
        now: Callable[[], float] = time.time,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._node = node
        self._store = node.block_store
        self._newly_blocked = newly_blocked
        self._now = now
        self._read_seconds = read_seconds
        self._until: dict[str, float] = {}
        self._known = not self._store.shared
        # What commands have changed since the reading that is under way has begun; None: there is none.
        self._changed: dict[str, float | None] | None = None
        self._read_at = self._report_at = -float("inf")
        self._due_at = 0.0
        # How many links to the bus had been opened when the list was read.
        self._connects = 0
        self._problem: str | None = None

    def __len__(self) -> int:
        """Return how many users are blocked now."""
        self._drop_what_is_over()
        return len(self._until)

    @property
    def problems(self) -> list[str]:
        """Why users can't be let in, as sentences; empty when they can."""
        if self._known:
            return []
        return [f"blocked users: {self._problem or 'not read yet'}"]

    def check(self, user: str) -> None:
        """Make sure that the clients of a user may come in.

        Raises:
            UserBlocked: they may not.
            Refused: with 503; it isn't known yet.
        """
        if not self._known:
            raise Refused(503, Unavailable.BLOCKS_UNREAD)
        until = self._until.get(user)
        if until is not None and until > self._now():
            raise UserBlocked

    async def block(self, user: str, until: float) -> BlockCommand:
        """Block a user for all gateways; return the command that is to tell them.

        Raises:
            TooManyBlocked, BlockStoreError: see `BlockStore.block`.
        """
        await self._store.block(user, until, self._now())
        return BlockCommand(user=user, until=until)

    async def unblock(self, user: str) -> UnblockCommand:
        """Unblock a user for all gateways; return the command that is to tell them.

        Raises:
            BlockStoreError: see `BlockStore.unblock`.
        """
        await self._store.unblock(user, self._now())
        return UnblockCommand(user=user)

    def carry_out(self, command: BlockCommand | UnblockCommand) -> None:
        """Do what a gateway tells all.

        Raises:
            ControlMessageError: more users are blocked than can be; another program may have sent that.
        """
        until = command.until if isinstance(command, BlockCommand) else None
        if until is not None and command.user not in self._until and len(self._until) >= 2 * MAX_BLOCKED:
            self._drop_what_is_over()
            if len(self._until) >= 2 * MAX_BLOCKED:
                raise ControlMessageError(f"more than {2 * MAX_BLOCKED} users blocked")
        self._set(command.user, until)
        if self._changed is not None:
            self._changed[command.user] = until

    async def run(self) -> None:
        """Read the list whenever it is time, until cancelled."""
        while self._store.shared:
            if self._is_due():
                await self.read()
            await pause(LOOK_SECONDS if self._known else SOON_SECONDS)

    async def read(self) -> None:
        """Read the list, and close the clients of users that are newly blocked. A failure is logged and made up for."""
        connects = self._node.counters.bus_connects
        again, self._connects = connects == self._connects, connects
        self._changed = {}
        try:
            found = await self._store.read(self._now())
        except BlockStoreError as error:
            self._failed(error)
        else:
            spread = random.uniform(1.0, 1.5)  # noqa: S311  # spreads load, guards nothing
            self._due_at = self._loop.time() + (self._read_seconds * spread if again else SETTLE_SECONDS)
            await self._take(found, self._changed)
        finally:
            self._changed = None

    def _is_due(self) -> bool:
        if self._node.counters.bus_connects == self._connects and self._loop.time() < self._due_at:
            return False
        # Once they are open again, commands are heard: what is read then is not outdated at once.
        return all(self._node.bus.links.values())

    async def _take(self, found: Blocks, changed: dict[str, float | None]) -> None:
        """Make what was read the list.

        Args:
            found: what was read.
            changed: what has changed meanwhile: that may stand in it or not.
        """
        now, before = self._now(), self._until
        lost: dict[str, float] = {}
        if self._loop.time() - self._read_at < MEMORY_SECONDS:
            known = found.blocked.keys() | found.unblocked | changed.keys()
            lost = {user: until for user, until in before.items() if until > now and user not in known}
        self._until = {**found.blocked, **lost}
        for user, until in changed.items():
            self._set(user, until)
        self._known, self._problem = True, None
        self._read_at = self._loop.time()
        self._changed = None  # from here on commands change the list that stays
        for user, until in self._until.items():
            if before.get(user, 0.0) <= now:
                self._newly_blocked(BlockCommand(user=user, until=until))
        if lost:
            log.warning("blocked users restored", users=len(lost))
            try:
                await self._store.restore(lost, now)
            except BlockStoreError as error:
                self._failed(error)

    def _failed(self, error: BlockStoreError) -> None:
        """Go on with what is known, and try again."""
        # A gateway that may have no store could not block users either.
        self._known = self._known or error.refused
        self._due_at = self._loop.time() + (self._read_seconds if error.refused else RETRY_SECONDS)
        if str(error) != self._problem or (self._loop.time() >= self._report_at and not error.refused):
            self._report_at = self._loop.time() + REPORT_SECONDS
            self._node.counters.bus_errors += 1
            event = "blocked users refused" if error.refused else "blocked users not read"
            log.warning(event, error=str(error))
        self._problem = str(error)

    def _set(self, user: str, until: float | None) -> None:
        if until is None:
            self._until.pop(user, None)
        else:
            self._until[user] = until

    def _drop_what_is_over(self) -> None:
        now = self._now()
        self._until = {user: until for user, until in self._until.items() if until > now}
