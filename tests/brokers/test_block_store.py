"""What every store of blocked users owes: the same cases in memory, over fakeredis and over a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers import block_store as contract
from relay.brokers.block_store import MAX_BLOCK_SECONDS, UNBLOCKED_SECONDS, Blocks, BlockStore, TooManyBlocked
from tests.brokers.recording import Station

NOW = 1_900_000_000.0

Stores = Callable[[], Awaitable[BlockStore]]


@pytest_asyncio.fixture
async def stores(options: BrokerOptions) -> AsyncIterator[Stores]:
    """Make stores of different gateways on one bus; that in memory has one gateway, which plays all parts."""
    made: list[BlockStore] = []

    async def make() -> BlockStore:
        if not made or made[0].shared:
            made.append(Station(options).broker.block_store)
        return made[-1]

    yield make
    for store in made:
        await store.close()


async def test_nothing_is_blocked_at_first(stores: Stores) -> None:
    assert await (await stores()).read(NOW) == Blocks()


async def test_what_one_gateway_blocks_others_read(stores: Stores) -> None:
    here, there = await stores(), await stores()
    await here.block("ann", NOW + 60, NOW)
    await there.block("bob", NOW + 0.5, NOW)
    for store in (here, there):
        assert await store.read(NOW) == Blocks({"ann": NOW + 60, "bob": NOW + 0.5})


@pytest.mark.parametrize("user", ["ann@shop.example", "Zoë", "a b", "*", "日本", "x" * 255, "-inf", '"', "a\\b"])
async def test_names_are_kept_as_they_are(stores: Stores, user: str) -> None:
    store = await stores()
    await store.block(user, NOW + 60, NOW)
    assert await store.read(NOW) == Blocks({user: NOW + 60})
    await store.unblock(user, NOW)
    assert await store.read(NOW) == Blocks({}, frozenset({user}))


async def test_a_block_ends_by_itself(stores: Stores) -> None:
    store = await stores()
    await store.block("ann", NOW + 60, NOW)
    assert await store.read(NOW + 59.9) == Blocks({"ann": NOW + 60})
    assert await store.read(NOW + 60) == Blocks()


async def test_the_last_block_of_a_user_counts(stores: Stores) -> None:
    store = await stores()
    await store.block("ann", NOW + 60, NOW)
    await store.block("ann", NOW + 30, NOW)
    assert await store.read(NOW) == Blocks({"ann": NOW + 30})
    await store.unblock("ann", NOW)
    await store.block("ann", NOW + 40, NOW)
    assert await store.read(NOW) == Blocks({"ann": NOW + 40})


async def test_it_is_known_for_a_while_who_was_unblocked(stores: Stores) -> None:
    here, there = await stores(), await stores()
    await here.block("ann", NOW + 2 * UNBLOCKED_SECONDS, NOW)
    await there.unblock("ann", NOW + 1)
    assert await here.read(NOW + UNBLOCKED_SECONDS) == Blocks({}, frozenset({"ann"}))
    assert await here.read(NOW + UNBLOCKED_SECONDS + 1) == Blocks()


async def test_unblocking_a_user_who_is_not_blocked_keeps_nothing(stores: Stores) -> None:
    """A back end may do so with any number of names."""
    store = await stores()
    await store.unblock("ann", NOW)
    assert await store.read(NOW) == Blocks()


async def test_more_than_a_number_of_users_are_not_blocked(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory", "redis.block_store"):
        monkeypatch.setattr(f"relay.brokers.{module}.MAX_BLOCKED", 3)
    monkeypatch.setattr(contract, "MAX_BLOCKED", 3)
    store = await stores()
    for user in ("ann", "bob", "eve"):
        await store.block(user, NOW + 60, NOW)
    await store.unblock("eve", NOW)
    with pytest.raises(TooManyBlocked, match="more than 3 users would be blocked"):
        await store.block("joe", NOW + 60, NOW)
    await store.block("ann", NOW + 90, NOW)
    assert (await store.read(NOW)).blocked.keys() == {"ann", "bob"}
    later = NOW + 60
    await store.block("joe", later + 60, later)
    assert (await store.read(later)).blocked.keys() == {"ann", "joe"}


async def test_what_was_lost_is_restored_and_what_is_known_stays(stores: Stores) -> None:
    here, there = await stores(), await stores()
    await here.block("ann", NOW + 60, NOW)
    await here.block("bob", NOW + 60, NOW)
    await here.unblock("bob", NOW)
    await there.restore({"ann": NOW + 1, "bob": NOW + 99, "eve": NOW + 99}, NOW)
    assert await here.read(NOW) == Blocks({"ann": NOW + 60, "eve": NOW + 99}, frozenset({"bob"}))


async def test_a_block_that_is_over_does_not_keep_another_from_being_restored(stores: Stores) -> None:
    store = await stores()
    await store.block("ann", NOW + 10, NOW)
    if store.shared:  # nothing is ever lost in memory
        await store.restore({"ann": NOW + 60}, NOW + 20)
        assert await store.read(NOW + 20) == Blocks({"ann": NOW + 60})


async def test_a_block_may_be_as_long_as_can_be(stores: Stores) -> None:
    store = await stores()
    await store.block("ann", NOW + MAX_BLOCK_SECONDS, NOW)
    assert await store.read(NOW + MAX_BLOCK_SECONDS - 1) == Blocks({"ann": NOW + MAX_BLOCK_SECONDS})
