"""Clients that come back."""

from __future__ import annotations

from typing import Any

from tests.protocols.centrifuge.conversation import Conversation, publish


async def subscribed(client: Conversation, channel: str, **request: Any) -> dict[str, Any]:
    """Subscribe, and return the result."""
    result = (await client.ask(subscribe={"channel": channel, **request}))["subscribe"]
    assert isinstance(result, dict)
    return result


async def left_at(client: Conversation, channel: str) -> dict[str, Any]:
    """Subscribe to a channel that has one message, leave it, and return how to come back."""
    epoch = (await subscribed(client, channel))["epoch"]
    publish(client.world, channel, b"1")
    await client.ask(unsubscribe={"channel": channel})
    return {"recover": True, "epoch": epoch, "offset": 1}
