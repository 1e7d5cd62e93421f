"""A back end that is asked for many clients: so many requests at once, so many that wait, none while it is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Final, Literal

from relay.back_ends.circuit import Circuit
from relay.back_ends.http_client import CallFailed, Failure, HttpClient, Reply
from relay.back_ends.places import Places
from relay.errors import RelayError
from relay.limits.fair_shares import NO_NAMES, FairShares, Names
from relay.logs import Logger
from relay.metrics.counters import Histogram

WAITING_PER_REQUEST: Final = 10
"""How many clients may wait for each of the requests that are sent at once."""

MAX_PENDING_BYTES: Final = 32 * 1024 * 1024
"""Of the bodies of all clients that wait for an answer, or to be asked for. A single one may have more."""

_OF_A_SERVER_THAT_IS_DOWN: Final = (Failure.TIMEOUT, Failure.UNREACHABLE)
"""The others are quick, and one client can cause them: they must not keep all others out."""


class NotAsked(RelayError):
    """The back end was not asked.

    Args:
        reason: `down`: it gives no answers now; `busy`: too many clients wait for it, or one has for too long.
        own_share: whether only the client itself has taken all that it may.
    """

    def __init__(self, reason: Literal["down", "busy"], own_share: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.own_share = own_share


class BackEnd:
    """Asks a back end for clients.

    Args:
        client: of the back end.
        what: it is, for operators: such as `the back end that decides about clients`.
        concurrency: requests at once.
        seconds: where it is observed how long each request takes, also one that fails.
        log: of the part that asks.
        circuit: to the back end; None: a new one.
        patience: seconds for which a client may wait to be asked for; None: for as long as it likes.
        max_pending_bytes: see `MAX_PENDING_BYTES`.

    Attributes:
        host: host and port, for logs.
    """

    def __init__(
        self,
        client: HttpClient,
        what: str,
        concurrency: int,
        seconds: Histogram,
        log: Logger,
        circuit: Circuit | None = None,
        patience: float | None = None,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._client = client
        self._what = what
        self._seconds = seconds
        self._log = log
        self._circuit = Circuit(time.monotonic) if circuit is None else circuit
        self._patience = patience
        self._places = Places(concurrency)
        self._most_pending = concurrency * (1 + WAITING_PER_REQUEST)
        self._pending = FairShares(self._most_pending)
        self._pending_bytes = FairShares(max_pending_bytes)
        self._last_failure = ""
        self.host = client.host

    @property
    def pending(self) -> int:
        """How many clients wait for an answer, or to be asked for."""
        return self._most_pending - self._pending.left

    @property
    def notes(self) -> list[str]:
        """That it is down, if so: a sentence for operators."""
        return [f"{self._what}, {self.host}, is down: {self._last_failure}"] if self._circuit.open else []

    async def open(self) -> None:
        """Get ready to send requests."""
        await self._client.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def post(
        self, body: bytes, headers: Mapping[str, str], wanted: Collection[int], names: Names = NO_NAMES
    ) -> Reply:
        """Send a POST when it is its turn, and return the answer; see `HttpClient.post`.

        Args:
            body, headers, wanted: of the request.
            names: for whom the back end is asked: each name has a share of the places, see `FairShares`.

        Raises:
            NotAsked: nothing was sent.
            CallFailed: there was no such answer.
        """
        if self._circuit.blocked:
            raise NotAsked("down")
        self._enter(names, len(body))
        try:
            await self._turn(names)
            try:
                # Again: it may have turned out while this one waited.
                if not self._circuit.let_through():
                    raise NotAsked("down")
                return await self._request(body, headers, wanted)
            finally:
                self._places.give_back(names)
        finally:
            self._pending.give_back(names, 1)
            self._pending_bytes.give_back(names, len(body))

    def _enter(self, names: Names, size: int) -> None:
        """Count a client that waits; raises `NotAsked` where too many do, or where too many are its own."""
        if not self._pending.take(names, 1):
            raise self._busy(own_share=self._pending.may_take(NO_NAMES, 1))
        if not self._pending_bytes.take(names, size):
            self._pending.give_back(names, 1)
            raise self._busy(own_share=self._pending_bytes.may_take(NO_NAMES, size))

    async def _turn(self, names: Names) -> None:
        """Wait for a place among the requests that are sent at once."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.take(names)
        except TimeoutError:
            raise self._busy(own_share=self._places.free > 0) from None

    def _busy(self, own_share: bool) -> NotAsked:
        if not own_share:
            self._log.warning("too many clients wait for the back end", back_end=self.host, waiting=self.pending)
        return NotAsked("busy", own_share)

    async def _request(self, body: bytes, headers: Mapping[str, str], wanted: Collection[int]) -> Reply:
        began_at = time.perf_counter()
        try:
            reply = await self._client.post(body, headers, wanted)
        except CallFailed as error:
            if error.failure in _OF_A_SERVER_THAT_IS_DOWN:
                self._last_failure = error.detail
                self._circuit.failed()
            else:
                self._circuit.succeeded()
            raise
        finally:
            self._seconds.observe(time.perf_counter() - began_at)
        self._circuit.succeeded()
        return reply
