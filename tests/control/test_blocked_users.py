"""A gateway's copy of the list of blocked users, and how it stays true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio

from relay.brokers.block_store import UNBLOCKED_SECONDS, BlockStoreError
from relay.brokers.memory import MemoryBlockStore
from relay.control import blocked_users as module
from relay.control.commands import BlockCommand
from relay.control.messages import ControlMessageError, UnblockCommand
from tests.control.shared_store import NOW, Gateway, SharedStore
from tests.harness.conditions import stays_true, wait_until


@pytest.fixture
def store() -> SharedStore:
    """A store that other gateways share."""
    return SharedStore()


@pytest_asyncio.fixture
async def gateway(store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway with that store."""
    return Gateway(store, monkeypatch)


async def test_a_gateway_alone_knows_the_list_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(MemoryBlockStore(), monkeypatch)
    assert (gateway.users.problems, gateway.refused("ann")) == ([], 0)
    async with gateway:
        gateway.users.carry_out(await gateway.users.block("ann", NOW + 60))
        assert (gateway.refused("ann"), gateway.refused("bob"), len(gateway.users)) == (403, 0, 1)
        gateway.users.carry_out(await gateway.users.unblock("ann"))
        assert (gateway.refused("ann"), len(gateway.users)) == (0, 0)


async def test_a_block_ends_by_itself(gateway: Gateway) -> None:
    await gateway.users.read()
    gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
    gateway.now += 59
    assert gateway.refused("ann") == 403
    gateway.now += 1
    assert (gateway.refused("ann"), len(gateway.users)) == (0, 0)


async def test_until_the_list_is_read_no_user_is_let_in(gateway: Gateway, store: SharedStore) -> None:
    await store.block("ann", NOW + 60, NOW)
    store.fails = BlockStoreError("no answer")
    async with gateway:
        await wait_until(lambda: store.reads > 3)
        assert gateway.users.problems == ["blocked users: no answer"]
        assert gateway.refused("ann") == gateway.refused("bob") == 503
        assert gateway.counters.bus_errors == 1, "told once, though tried again and again"
        store.fails = None
        await wait_until(lambda: not gateway.users.problems)
        assert (gateway.refused("ann"), gateway.refused("bob")) == (403, 0)
        assert gateway.closed == ["ann"]


async def test_it_is_not_read_while_the_bus_is_away(gateway: Gateway, store: SharedStore) -> None:
    """Commands that come before the gateway is subscribed would be missed, and what was read outdated."""
    gateway.links["subscriptions"] = False
    async with gateway:
        assert await stays_true(lambda: store.reads == 0, 0.1)
        assert gateway.users.problems == ["blocked users: not read yet"]
        gateway.links["subscriptions"] = True
        await wait_until(lambda: not gateway.users.problems)


async def test_a_command_that_was_missed_while_the_bus_was_away_is_made_up_for(
    gateway: Gateway, store: SharedStore
) -> None:
    gateway.users.carry_out(BlockCommand(user="bob", until=NOW + 60))
    await store.block("bob", NOW + 60, NOW)
    async with gateway:
        await wait_until(lambda: store.reads == 1)
        await store.block("ann", NOW + 60, NOW)
        await store.unblock("bob", NOW)
        assert await stays_true(lambda: store.reads == 1, 0.05)
        gateway.counters.bus_connects += 2
        await wait_until(lambda: store.reads == 2)
        assert (gateway.refused("ann"), gateway.refused("bob")) == (403, 0)
        assert gateway.closed == ["ann"]
        assert not store.restored


async def test_it_is_read_once_more_soon_after_a_reconnect(
    gateway: Gateway, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that comes back to the bus a little later may write again what the bus had lost."""
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.05)
    gateway.counters.bus_connects += 2
    async with gateway:
        await wait_until(lambda: store.reads == 1)
        await store.restore({"ann": NOW + 60}, NOW)
        await wait_until(lambda: gateway.refused("ann") == 403)
        assert await stays_true(lambda: store.reads == 2, 0.2)


async def test_it_is_read_again_from_time_to_time(store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(store, monkeypatch, read_seconds=0.05)
    async with gateway:
        await wait_until(lambda: store.reads >= 1)
        await store.block("ann", NOW + 60, NOW)
        await wait_until(lambda: gateway.refused("ann") == 403)
        assert gateway.closed == ["ann"]


async def test_what_a_command_changes_while_the_list_is_read_stays(gateway: Gateway, store: SharedStore) -> None:
    """What is read may be from before or from after."""
    await store.block("bob", NOW + 60, NOW)
    store.answers.clear()
    reading = asyncio.create_task(gateway.users.read())
    await wait_until(lambda: store.reads == 1)
    gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
    gateway.users.carry_out(UnblockCommand(user="bob"))
    store.answers.set()
    await reading
    assert (gateway.refused("ann"), gateway.refused("bob")) == (403, 0)
    assert not store.restored


async def test_what_the_bus_has_lost_is_written_again(gateway: Gateway, store: SharedStore, caplog: Any) -> None:
    for user in ("ann", "bob", "eve"):
        gateway.users.carry_out(await gateway.users.block(user, NOW + 60))
    await gateway.users.read()
    store.lose_everything()
    await store.block("bob", NOW + 90, NOW)
    gateway.users.carry_out(BlockCommand(user="joe", until=NOW - 1))
    await gateway.users.read()
    assert store.restored == [{"ann": NOW + 60, "eve": NOW + 60}]
    assert (await store.read(NOW)).blocked == {"ann": NOW + 60, "bob": NOW + 90, "eve": NOW + 60}
    assert [gateway.refused(user) for user in ("ann", "bob", "eve", "joe")] == [403, 403, 403, 0]
    assert len([record for record in caplog.records if "blocked users restored" in record.getMessage()]) == 1


async def test_what_cannot_be_written_again_stays_in_force(gateway: Gateway, store: SharedStore) -> None:
    class ReadOnly(SharedStore):
        async def restore(self, blocked: Mapping[str, float], now: float) -> None:
            raise BlockStoreError("Redis refuses the key", refused=True)

    gateway.users._store = ReadOnly()
    await gateway.users.read()
    gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
    for _ in range(3):
        await gateway.users.read()
        assert gateway.refused("ann") == 403


async def test_a_gateway_that_was_away_for_long_writes_nothing_again(gateway: Gateway, store: SharedStore) -> None:
    """It may have missed that a user was unblocked, and that is not known for ever."""
    await store.block("ann", NOW + 9 * UNBLOCKED_SECONDS, NOW)
    await gateway.users.read()
    await store.unblock("ann", NOW)
    gateway.now += UNBLOCKED_SECONDS + 1
    await store.block("bob", gateway.now + 60, gateway.now)
    gateway.users._read_at -= UNBLOCKED_SECONDS + 1
    await gateway.users.read()
    assert (gateway.refused("ann"), gateway.refused("bob")) == (0, 403)
    assert not store.restored


async def test_where_the_bus_allows_no_list_users_are_let_in_and_commands_count(
    gateway: Gateway, store: SharedStore, caplog: Any
) -> None:
    """Nothing can have been blocked there. A deployment whose rights on Redis are older must not stand still."""
    store.fails = BlockStoreError("Redis refuses the key relay:blocked_users: no permissions", refused=True)
    async with gateway:
        await wait_until(lambda: not gateway.users.problems)
        assert gateway.refused("ann") == 0
        gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
        for _ in range(3):
            await gateway.users.read()
        assert gateway.refused("ann") == 403
    entries = [record.getMessage() for record in caplog.records if "blocked users refused" in record.getMessage()]
    assert len(entries) == 1
    assert "no permissions" in entries[0]


async def test_a_failure_leaves_what_is_known_and_is_logged_once_in_a_while(
    gateway: Gateway, store: SharedStore, caplog: Any
) -> None:
    await store.block("ann", NOW + 60, NOW)
    await gateway.users.read()
    store.fails = BlockStoreError("no answer")
    for _ in range(5):
        await gateway.users.read()
    assert (gateway.refused("ann"), gateway.refused("bob"), gateway.users.problems) == (403, 0, [])
    assert len([record for record in caplog.records if "blocked users not read" in record.getMessage()]) == 1


async def test_a_flood_of_commands_is_refused(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may write on the bus."""
    monkeypatch.setattr(module, "MAX_BLOCKED", 5)
    await gateway.users.read()
    for number in range(10):
        gateway.users.carry_out(BlockCommand(user=f"user {number}", until=NOW + 1 + number))
    with pytest.raises(ControlMessageError, match="more than 10 users blocked"):
        gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
    gateway.users.carry_out(BlockCommand(user="user 3", until=NOW + 60))
    gateway.now += 5
    gateway.users.carry_out(BlockCommand(user="ann", until=NOW + 60))
    assert gateway.refused("ann") == 403


async def test_users_that_are_blocked_already_are_not_closed_again(gateway: Gateway, store: SharedStore) -> None:
    await store.block("ann", NOW + 10, NOW)
    for _ in range(3):
        await gateway.users.read()
    assert gateway.closed == ["ann"]
    gateway.now += 20
    await store.block("ann", NOW + 60, gateway.now)
    await gateway.users.read()
    assert gateway.closed == ["ann", "ann"]
