"""Gateways whose channels have presence, and who is on these."""

from __future__ import annotations

import pytest

from relay import Gateway
from relay.presence import presences
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of

NAMESPACES = {
    "room": {"presence": True, "join_leave": True},
    "seen": {"presence": True},
    "kept": {"presence": True, "history_size": 10},
    "news": {"presence": True, "join_leave": True, "history_size": 10},
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let users linger for no time that a test has to wait for."""
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 0.1, "batch_seconds": 0.01})


async def users(gateway: Gateway, channel: str) -> list[str | None]:
    """Return the users of all clients on a channel, as others see them."""
    members = await parts_of(gateway).context.node.presence.members(channel)
    return sorted((member.user for member in members), key=str)


async def becomes(gateway: Gateway, channel: str, *expected: str | None) -> None:
    """Wait until these are on a channel."""

    async def right() -> bool:
        return await users(gateway, channel) == list(expected)

    await wait_until(right)
