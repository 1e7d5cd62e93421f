"""The keys of an issuer: fetched, kept, and fetched again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.authenticators.issuer_keys import MAX_SET_BYTES, IssuerKeys, Pace
from relay.back_ends.http_client import HttpClient
from relay.metrics.counters import Counters
from tests.authenticators.signing import ec_signer, ed_signer, key_set, rsa_signer
from tests.back_ends.http_server import Handler, HttpServer, answering, hang
from tests.harness.conditions import wait_until

SELDOM = Pace(refresh=3600, cooldown=3600, first_retry=3600, last_retry=3600)
OFTEN = Pace(refresh=0.02, cooldown=0.0, first_retry=0.02, last_retry=0.02)
RETRYING = Pace(refresh=3600, cooldown=3600, first_retry=0.02, last_retry=0.02)


@asynccontextmanager
async def keys_of(
    server: HttpServer, pace: Pace = SELDOM, patience: float = 60.0, counters: Counters | None = None
) -> AsyncIterator[IssuerKeys]:
    """Run the keys of an issuer; enter after the first fetch."""
    client = HttpClient(server.url, timeout=patience, max_bytes=MAX_SET_BYTES, connections=1)
    keys = IssuerKeys(client, Counters() if counters is None else counters, pace)
    await keys.open()
    running = asyncio.create_task(keys.run())
    try:
        await keys.look_again()
        yield keys
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await keys.close()


def ids(keys: IssuerKeys) -> list[str | None]:
    return [key.id for key in keys.keys]


async def test_keys_of_all_kinds_are_fetched() -> None:
    counters = Counters()
    signers = [rsa_signer(), ec_signer(), ed_signer(), ec_signer(None)]
    async with HttpServer(answering(200, key_set(*signers))) as issuer, keys_of(issuer, counters=counters) as keys:
        assert ids(keys) == ["rsa", "ec", "ed", None]
        assert keys.there
        assert (keys.problem, keys.notes) == (None, [])
        assert keys.knows("ec")
        assert not keys.knows("other")
        host = f"127.0.0.1:{issuer.port}"
        assert counters.issuer_fetches == {"ok": 1}
        assert counters.issuer_up == {host: 1}
        assert counters.issuer_keys_at[host] > 1e9


async def test_they_are_fetched_again_before_they_are_old() -> None:
    async with HttpServer(answering(200, key_set(ec_signer("one")))) as issuer, keys_of(issuer, OFTEN) as keys:
        issuer.handler = answering(200, key_set(ec_signer("two")))
        await wait_until(lambda: ids(keys) == ["two"])


@pytest.mark.parametrize(
    ("handler", "failure", "words"),
    [
        (answering(500, {}), "status", "HTTP status 500"),
        (answering(301, {}, Location="http://127.0.0.1:1/"), "redirect", "HTTP status 301"),
        (answering(200, text="<html>"), "malformed", "no JWK set"),
        (answering(200, {"keys": 5}), "malformed", "no JWK set"),
        (answering(200, []), "malformed", "no JWK set"),
        (answering(200, text="[" * 100_000), "malformed", "no JWK set"),
        (answering(200, {"keys": []}), "malformed", "holds no key that can be used"),
        (answering(200, {"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "alg": "none"}, 7]}), "malformed", "key"),
        (answering(200, text="x" * 10_000_000), "too_large", "more than 262144 bytes"),
    ],
    ids=["500", "redirect", "html", "number", "list", "depth", "empty", "unusable", "10 MB"],
)
async def test_the_last_good_set_is_kept_when_the_issuer_is_broken(
    handler: Handler, failure: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    counters = Counters()
    async with (
        HttpServer(answering(200, key_set(ec_signer("good")))) as issuer,
        keys_of(issuer, OFTEN, counters=counters) as keys,
    ):
        issuer.handler = handler
        await wait_until(lambda: counters.issuer_fetches[failure])
        assert ids(keys) == ["good"]
        (note,) = keys.notes
        assert words in note
        assert "the last good ones are used" in note
        assert counters.issuer_up == {f"127.0.0.1:{issuer.port}": 0}
        with caplog.at_level(logging.INFO):
            issuer.handler = answering(200, key_set(ec_signer("new")))
            await wait_until(lambda: ids(keys) == ["new"])
        assert keys.notes == []
        assert "issuer keys fetched" in caplog.text


async def test_an_issuer_that_is_down_at_the_start_is_asked_until_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    issuer = HttpServer(answering(200, key_set(ec_signer())))
    async with keys_of(issuer, RETRYING, counters=counters) as keys:
        assert not keys.there
        assert keys.notes == [
            f"the keys of the tokens' issuer can't be fetched from 127.0.0.1:{issuer.port}: Connection refused; "
            "there are none yet, so tokens are refused"
        ]
        assert counters.issuer_keys_at == {f"127.0.0.1:{issuer.port}": 0}
        await wait_until(lambda: counters.issuer_fetches["unreachable"] >= 3)
        async with issuer:
            await wait_until(lambda: keys.there)
            assert ids(keys) == ["ec"]
    assert "issuer keys not fetched" in caplog.text


async def test_one_that_dies_and_comes_back() -> None:
    async with HttpServer(answering(200, key_set(ec_signer("one")))) as issuer, keys_of(issuer, OFTEN) as keys:
        await issuer.stop()
        await wait_until(lambda: keys.problem)
        assert ids(keys) == ["one"]
        issuer.handler = answering(200, key_set(ec_signer("two")))
        await issuer.start()
        await wait_until(lambda: ids(keys) == ["two"])
        assert keys.problem is None


async def test_one_that_hangs_is_given_up() -> None:
    counters = Counters()
    async with HttpServer(hang) as issuer, keys_of(issuer, RETRYING, patience=0.05, counters=counters) as keys:
        await wait_until(lambda: counters.issuer_fetches["timeout"] >= 2)
        assert not keys.there
        assert "no answer within" in keys.notes[0]


async def test_all_who_wait_share_one_fetch() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: object) -> object:
        started.set()
        await go_on.wait()
        return await answering(200, key_set(ec_signer("new")))(request)  # type: ignore[arg-type]

    patient = Pace(refresh=3600, cooldown=0.0)
    async with HttpServer(answering(200, key_set(ec_signer("old")))) as issuer, keys_of(issuer, patient) as keys:
        issuer.handler = slow  # type: ignore[assignment]
        waiting = [asyncio.create_task(keys.look_again()) for _ in range(500)]
        await started.wait()
        waiting += [asyncio.create_task(keys.look_again()) for _ in range(500)]
        await asyncio.sleep(0)
        waiting.pop().cancel()  # one that has gone is nothing to the others
        go_on.set()
        await asyncio.gather(*waiting)
        assert issuer.requests == 2
        assert ids(keys) == ["new"]


async def test_whatever_clients_send_the_issuer_is_not_asked_too_often() -> None:
    now = 1000.0
    async with HttpServer(answering(200, key_set(ec_signer()))) as issuer:
        client = HttpClient(issuer.url, timeout=60, max_bytes=MAX_SET_BYTES, connections=1)
        keys = IssuerKeys(client, Counters(), Pace(refresh=3600, cooldown=10.0), clock=lambda: now)
        await keys.open()
        running = asyncio.create_task(keys.run())
        await keys.look_again()
        for seconds, requests in ((0.0, 1), (9.9, 1), (0.1, 2), (5.0, 2), (5.0, 3)):
            now += seconds
            for _ in range(100):
                await keys.look_again()
            assert issuer.requests == requests
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await keys.close()


async def test_pauses_grow_while_it_fails() -> None:
    issuer = HttpServer(answering(200, {}))
    async with keys_of(issuer, Pace(first_retry=1.0, last_retry=60.0)) as keys:
        for failures, seconds in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10_000, 60)):
            keys._failures = failures
            assert 0.9 * seconds <= keys._pause() <= 1.1 * seconds
