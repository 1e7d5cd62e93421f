"""What the methods about users do, on one gateway."""

from __future__ import annotations

import time

import pytest

from relay import Gateway
from relay.brokers import memory
from relay.brokers.block_store import MAX_BLOCK_SECONDS, BlockStoreError
from relay.brokers.memory import MemoryBlockStore
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected

DONE: dict[str, object] = {"result": {}}


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway whose API is on."""
    (gateway,) = await embedded(1, **{"api_keys": KEY, **settings})
    return gateway


def ends(gateway: Gateway) -> list[float | None]:
    """Return when the rights of all clients end."""
    return [client.session.identity.expires_at for client in parts_of(gateway).context.registry]


@pytest.mark.parametrize(
    ("method", "parameters", "code", "words"),
    [
        ("refresh", {}, 107, "user: must not be empty"),
        ("refresh", {"user": "a", "session": "s"}, 108, "session"),
        ("refresh", {"user": "a", "expire_at": 1000}, 107, "expire_at: must be in the future, in seconds since 1970"),
        ("refresh", {"user": "a", "expire_at": time.time() * 1000}, 107, "$.expire_at"),
        ("refresh", {"user": "a", "expire_at": -1}, 107, "$.expire_at"),
        ("refresh", {"user": "a", "expire_at": "tomorrow"}, 107, "$.expire_at"),
        ("refresh", {"user": "a", "expired": 1}, 107, "$.expired"),
        ("refresh", {"user": "a", "client": "x"}, 107, "client"),
        ("refresh", {"user": "a", "expires_at": 1}, 107, "expires_at"),
        ("block_user", {}, 107, "user"),
        ("block_user", {"user": "a"}, 107, "ttl: one of ttl and expire_at must be there"),
        ("block_user", {"user": "a", "ttl": 5, "expire_at": 2e9}, 107, "and not both"),
        ("block_user", {"user": "a", "ttl": 0}, 107, "$.ttl"),
        ("block_user", {"user": "a", "ttl": "1h"}, 107, "$.ttl"),
        ("block_user", {"user": "a", "ttl": MAX_BLOCK_SECONDS + 1}, 107, "$.ttl"),
        ("block_user", {"user": "a", "expire_at": 1000}, 107, "expire_at: must be in the future"),
        ("block_user", {"user": "a", "expire_at": 9e9}, 107, "expire_at: must not be more than"),
        ("block_user", {"user": "", "ttl": 5}, 107, "user: must have 1 to 255 bytes"),
        ("block_user", {"user": " a", "ttl": 5}, 107, "user: must not begin or end with white space"),
        ("block_user", {"user": "\u00e9" * 200, "ttl": 5}, 107, "user: must have 1 to 255 bytes"),
        ("block_user", {"user": "a" * 256, "ttl": 5}, 107, "user"),
        ("unblock_user", {}, 107, "user"),
        ("unblock_user", {"user": "a\u0000b"}, 107, "user: must not contain control characters"),
    ],
)
async def test_wrong_parameters(
    embedded: EmbeddedFactory, method: str, parameters: object, code: int, words: str
) -> None:
    gateway = await start(embedded)
    error = (await call(gateway.port, method, parameters))["error"]
    assert (error["code"], words in error["message"]) == (code, True), error
    assert gateway.counters.api_requests == {f"{method} {code}": 1}


async def test_refresh_gives_all_clients_of_a_user_another_end(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    urls = [f"{gateway.url}/ws/a?user={user}" for user in ("ann", "ann", "bob")]
    async with connected(*urls):
        at = time.time() + 3600.5
        assert await call(gateway.port, "refresh", {"user": "ann", "expire_at": at}) == DONE
        await wait_until(lambda: sorted(ends(gateway), key=str) == [at, at, None])
        assert len(parts_of(gateway).context.registry.expirations) == 2
        assert await call(gateway.port, "refresh", {"user": "ann"}) == DONE
        await wait_until(lambda: ends(gateway) == [None] * 3)
        assert len(parts_of(gateway).context.registry.expirations) == 0


async def test_refresh_with_an_end_that_is_near_closes_them_then(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/a?user=ann") as (client,):
        await call(gateway.port, "refresh", {"user": "ann", "expire_at": time.time() + 0.5})
        assert await client.ended(30) == (1008, "token expired")


async def test_refresh_can_end_a_right_at_once_for_one_client_or_all(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(*[f"{gateway.url}/ws/a?user=ann"] * 3) as clients:
        one = next(iter(parts_of(gateway).context.registry)).session.id.hex()
        await call(gateway.port, "refresh", {"client": one, "expired": True})
        await wait_until(lambda: sum(not client.is_open for client in clients) == 1)
        await call(gateway.port, "refresh", {"user": "bob", "expired": True})
        assert await stays_true(lambda: sum(client.is_open for client in clients) == 2, 0.1)
        await call(gateway.port, "refresh", {"user": "ann", "expired": True})
        assert {await client.ended() for client in clients} == {(1008, "token expired")}
        assert gateway.counters.disconnects == {"TOKEN_EXPIRED": 3}


async def test_refresh_reaches_clients_that_poll(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    (polled,) = parts_of(gateway).polling_clients
    at = time.time() + 3600
    await call(gateway.port, "refresh", {"client": polled.id.hex(), "expire_at": at})
    await wait_until(lambda: ends(gateway) == [at])
    await call(gateway.port, "refresh", {"client": polled.id.hex(), "expired": True})
    await wait_until(lambda: gateway.counters.polls_open == 0)
    await client.poll(wait=0)
    assert client.answer["closed"] == {"code": 1008, "reason": "token expired"}


@pytest.mark.parametrize("field", ["ttl", "expire_at"])
async def test_a_blocked_user_is_closed_and_refused_until_it_is_unblocked(
    embedded: EmbeddedFactory, field: str
) -> None:
    gateway = await start(embedded)
    moment = 60 if field == "ttl" else time.time() + 60
    async with connected(*[f"{gateway.url}/ws/a?user={user}" for user in ("ann", "bob")]) as (ann, bob):
        assert await call(gateway.port, "block_user", {"user": "ann", field: moment}) == DONE
        assert (await get(gateway.port, "/poll/a?wait=0&user=ann")).status == 403
        assert await ann.ended() == (1008, "user blocked")
        assert bob.is_open
    assert await call(gateway.port, "unblock_user", {"user": "ann"}) == DONE
    assert await call(gateway.port, "unblock_user", {"user": "ann"}) == DONE
    assert (await get(gateway.port, "/poll/a?wait=0&user=ann")).status == 200


async def test_a_block_is_over_after_its_time(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    await call(gateway.port, "block_user", {"user": "ann", "ttl": 0.3})

    async def let_in() -> bool:
        return (await get(gateway.port, "/poll/a?wait=0&user=ann")).status == 200

    assert not await let_in()
    await wait_until(let_in)


async def test_a_batch_keeps_its_order(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    block: dict[str, object] = {"block_user": {"user": "ann", "ttl": 60}}
    unblock: dict[str, object] = {"unblock_user": {"user": "ann"}}
    for commands, status in (([block, unblock], 200), ([unblock, block], 403)):
        replies = (await call(gateway.port, "batch", {"commands": commands}))["replies"]
        assert replies == [{name: {} for name in command} for command in commands]
        assert (await get(gateway.port, "/poll/a?wait=0&user=ann")).status == status


async def test_when_too_many_are_blocked_a_back_end_is_told(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MAX_BLOCKED", 2)
    gateway = await start(embedded)
    for user in ("ann", "bob"):
        await call(gateway.port, "block_user", {"user": user, "ttl": 60})
    error = (await call(gateway.port, "block_user", {"user": "eve", "ttl": 60}))["error"]
    assert error == {"code": 106, "message": "more than 10000 users would be blocked"}
    assert (await get(gateway.port, "/poll/a?wait=0&user=eve")).status == 200


@pytest.mark.parametrize(("refused", "code"), [(True, 103), (False, 100)])
async def test_when_it_cannot_be_kept_a_back_end_is_told(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, refused: bool, code: int
) -> None:
    async def fail(*_: object) -> None:
        raise BlockStoreError("Redis says no", refused=refused)

    monkeypatch.setattr(MemoryBlockStore, "block", fail)
    monkeypatch.setattr(MemoryBlockStore, "unblock", fail)
    gateway = await start(embedded)
    for method, parameters in (("block_user", {"user": "ann", "ttl": 60}), ("unblock_user", {"user": "ann"})):
        error = (await call(gateway.port, method, parameters))["error"]
        assert error == {"code": code, "message": "could not be kept: Redis says no"}
    assert (await get(gateway.port, "/poll/a?wait=0&user=ann")).status == 200
