"""How long messages are kept for recoveries."""

from __future__ import annotations

import asyncio

from relay.recovery.recoveries import UNHEARD_SECONDS
from tests.harness.conditions import wait_until
from tests.recovery.house import NAMESPACES, house


async def test_messages_expire_with_their_history() -> None:
    async with house() as found:
        await found.opened("kept:a")
        position = found.publish("kept:a", "1")
        found.recoveries.look(1.0)
        assert found.recoveries.rings.used
        found.recoveries.look(302.0)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", position)).replay.recovered


async def test_messages_from_before_the_channel_was_opened_are_not_kept_for_another_lifetime() -> None:
    async with house() as found:
        first, second = found.publish("kept:a", "1"), found.publish("kept:a", "2")
        found.claim("kept:a").set_result(None)
        assert (await found.join("kept:a", first)).got == "2 "
        assert found.recoveries.rings.used
        now = asyncio.get_running_loop().time()
        found.recoveries.look(now + UNHEARD_SECONDS / 2)
        assert found.recoveries.rings.used, "clients that come back at once are served by one reading"
        found.recoveries.look(now + UNHEARD_SECONDS + 1)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", first)).got == "2 "  # it may still be there
        found.recoveries.look(now + 301.0)
        assert (await found.join("kept:a", second)).replay.recovered
        found.publish("kept:a", "3")
        found.recoveries.look(now + 302.0)
        found.recoveries.look(now + 303.0)
        assert found.recoveries.rings.used, "the last message came just now"
        assert (await found.join("kept:a", second)).got == "3 "


async def test_the_age_of_messages_counts_from_their_reading_not_from_the_claim() -> None:
    """The bus may take its time, or be away: messages may be published meanwhile, and clients then come all at once."""
    async with house() as found:
        loop = asyncio.get_running_loop()
        acknowledged, claimed_at = found.claim("kept:a"), loop.time()
        joining = asyncio.create_task(found.join("kept:a", 2))
        await wait_until(lambda: loop.time() - claimed_at > 0.02)
        first = found.publish("kept:a", "1", lost=True)
        found.publish("kept:a", "2", lost=True)
        acknowledged_at = loop.time()
        acknowledged.set_result(None)
        assert (await joining).got == "1 2 "
        found.recoveries.look(acknowledged_at + UNHEARD_SECONDS - 0.001)
        assert found.recoveries.rings.used
        ttl = NAMESPACES.options("kept:a").history_ttl
        found.recoveries.look(acknowledged_at + ttl - 0.001)
        assert found.recoveries.rings.used == 0
        assert (await found.join("kept:a", first)).got == "2 ", "the history still has it"


async def test_a_history_that_was_removed_is_forgotten() -> None:
    async with house() as found:
        await found.opened("kept:a")
        found.publish("kept:a", "1")
        await found.history.remove("kept:a")
        found.recoveries.forget_history("kept:a")
        assert (await found.join("kept:a", 5)).got == ""
