"""The keys of the issuer of tokens, which it publishes as a JWK set (RFC 7517): fetched, kept, and fetched again.

Only RELAY_JWKS_URL is ever asked. What a token says of its key (`jku`, `x5u`, `jwk`, `x5c`) is never looked at.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from relay.auth.keys import Key, UnusableKey, key_set
from relay.back_ends.http_client import CallFailed, Failure, HttpClient
from relay.logs import Logger
from relay.metrics.counters import Counters

MAX_SET_BYTES: Final = 262_144
"""Of the set of an issuer; those with certificates in them have some ten kilobytes."""

FETCH_TIMEOUT_SECONDS: Final = 5.0

log = Logger("relay.auth")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an issuer is asked; all in seconds.

    Args:
        refresh: from one good set to the next, plus or minus a tenth: gateways should not ask in step.
        cooldown: least time from one fetch to one that clients cause, whatever they send.
        first_retry: from a failed fetch to the next; it doubles.
        last_retry: the longest such pause.
    """

    refresh: float = 600.0
    cooldown: float = 10.0
    first_retry: float = 1.0
    last_retry: float = 60.0


class _KeySet(msgspec.Struct):
    keys: list[Any]


class IssuerKeys:
    """The last good set of an issuer. One task fetches it, and all others wait for that task.

    Args:
        client: of the issuer.
        counters: the fields `issuer_...` are used.
        pace: how often the issuer is asked.
        clock: returns the time in seconds, and never goes back.

    Attributes:
        keys: of the last good set; empty before the first.
        problem: why the last fetch has failed, in words; None: it has not.
    """

    def __init__(
        self,
        client: HttpClient,
        counters: Counters,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: list[Key] = []
        self.problem: str | None = None
        self._client = client
        self._counters = counters
        self._pace = Pace() if pace is None else pace
        self._clock = clock
        self._fetching = False
        self._failures = 0
        self._ended_at = -float("inf")
        self._wanted = asyncio.Event()
        # Set at the end of the fetch that is under way, or comes next; then there is another one.
        self._fetched = asyncio.Event()

    @property
    def there(self) -> bool:
        """Whether there has been a good set."""
        return bool(self.keys)

    @property
    def notes(self) -> list[str]:
        """That the issuer can't be asked, if so."""
        if self.problem is None:
            return []
        kept = "the last good ones are used" if self.there else "there are none yet, so tokens are refused"
        return [f"the keys of the tokens' issuer can't be fetched from {self._client.host}: {self.problem}; {kept}"]

    def knows(self, id_: str) -> bool:
        """Return whether the set has a key with an id."""
        return any(key.id == id_ for key in self.keys)

    async def open(self) -> None:
        """Get ready to fetch."""
        self._counters.issuer_up[self._client.host] = 0
        self._counters.issuer_keys_at[self._client.host] = 0.0
        await self._client.open()

    async def close(self) -> None:
        """Close the connection to the issuer."""
        await self._client.close()

    async def run(self) -> None:
        """Fetch the set again and again, until cancelled."""
        while True:
            self._wanted.clear()
            self._fetching = True
            try:
                await self._fetch()
            finally:
                self._fetching = False
                self._ended_at = self._clock()
                fetched, self._fetched = self._fetched, asyncio.Event()
                fetched.set()
            try:
                async with asyncio.timeout(self._pause()):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    async def look_again(self) -> None:
        """Wait for a fetch, unless the last one was a moment ago: a token names a key that the set hasn't got."""
        fetched = self._fetched
        if not self._fetching:
            if self._clock() - self._ended_at < self._pace.cooldown:
                return
            self._wanted.set()
        await fetched.wait()

    async def _fetch(self) -> None:
        host, counters = self._client.host, self._counters
        try:
            keys = await fetch_keys(self._client)
        except CallFailed as error:
            failure = error.failure.value
            self.problem = error.detail
            self._failures += 1
            counters.issuer_fetches[failure] += 1
            counters.issuer_up[host] = 0
            log.warning("issuer keys not fetched", issuer=host, failure=failure, detail=error.detail, kept=self.there)
            return
        if self._failures or not self.there:
            log.info("issuer keys fetched", issuer=host, keys=len(keys))
        self.keys, self.problem, self._failures = keys, None, 0
        counters.issuer_fetches["ok"] += 1
        counters.issuer_up[host] = 1
        counters.issuer_keys_at[host] = time.time()

    def _pause(self) -> float:
        pace = self._pace
        pause = pace.refresh
        if self._failures:
            # The exponent is bounded, as the failures of a weekend are not.
            pause = min(pace.first_retry * 2.0 ** min(self._failures - 1, 16), pace.last_retry)
        return pause * random.uniform(0.9, 1.1)  # noqa: S311  # spreads load, guards nothing


def client_of(url: str) -> HttpClient:
    """Return a client of an issuer; not open yet."""
    return HttpClient(url, timeout=FETCH_TIMEOUT_SECONDS, max_bytes=MAX_SET_BYTES, connections=1)


async def fetch_keys(client: HttpClient) -> list[Key]:
    """Return the keys that an issuer publishes now.

    Raises:
        CallFailed: it doesn't answer with a JWK set that holds a key which can be used.
    """
    reply = await client.get((200,))
    try:
        return key_set(msgspec.json.decode(reply.body, type=_KeySet).keys)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CallFailed(Failure.MALFORMED, "its answer is no JWK set") from None
    except UnusableKey as error:
        raise CallFailed(Failure.MALFORMED, f"its answer {error}") from None
