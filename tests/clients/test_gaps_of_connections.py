"""What a Centrifuge client is told of a gap in a channel that it has with its connection: it can't be ended alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.websocket_client import WebSocketClient, connected

pytestmark = pytest.mark.usefixtures("short_close_timeout")

INSUFFICIENT_STATE = (3010, "insufficient state")
COUNTED = {"counted": {"positions": True}}


def told(client: WebSocketClient) -> list[tuple[str, Any]]:
    """Return the channels and data of what was published, as the client got it."""
    pushes = [json.loads(line).get("push") for text in client.received for line in str(text).split("\n")]
    return [(push["channel"], push["pub"]["data"]) for push in pushes if push]


async def connect(client: WebSocketClient, *channels: str) -> None:
    """Let a client say who it is, and which channels it has with its connection."""
    before = len(client.received)
    await client.send(json.dumps({"id": 1, "connect": {"subs": {channel: {} for channel in channels}}}))
    await client.receive(before + 1)


def miss(gateway: Gateway, channel: str) -> None:
    """Let messages of a channel be missing."""
    context = parts_of(gateway).context
    context.node.hub.flush()
    context.missed_messages.tell([channel])


async def published(gateway: Gateway, channel: str, *data: str) -> None:
    """Publish JSON."""
    for one in data:
        await gateway.publish(channel, json.dumps(one))


async def test_nothing_comes_of_a_channel_with_positions_until_its_turn_to_be_closed(embedded: EmbeddedFactory) -> None:
    """The client counts on from what comes: it would take itself for whole when it is back."""
    (gateway,) = await embedded(1, gap_seconds=3600, namespaces=COUNTED)
    async with connected(*[f"{gateway.url}/connection/websocket"] * 2) as (first, second):
        for client in (first, second):
            await connect(client, "counted:a", "b")
        await published(gateway, "counted:a", "one")
        miss(gateway, "counted:a")
        miss(gateway, "counted:a")
        assert await first.ended() == INSUFFICIENT_STATE
        await published(gateway, "counted:a", "two")
        await published(gateway, "b", "three")
        await wait_until(lambda: ("b", "three") in told(second), what="the other channel goes on")
        assert told(second) == [("counted:a", "one"), ("b", "three")]
    await wait_until(lambda: not len(parts_of(gateway).context.node.hub.channels), what="all have left")


async def test_an_operator_who_keeps_clients_does_not_keep_it_without_its_channel(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, on_gap="keep", namespaces=COUNTED)
    async with connected(f"{gateway.url}/connection/websocket") as (client,):
        await connect(client, "counted:a")
        miss(gateway, "counted:a")
        assert await client.ended() == INSUFFICIENT_STATE


@pytest.mark.parametrize("on_gap", ["close", "keep"])
async def test_a_plain_channel_goes_on_as_for_a_plain_websocket(embedded: EmbeddedFactory, on_gap: str) -> None:
    (gateway,) = await embedded(1, gap_seconds=3600, on_gap=on_gap)
    async with connected(*[f"{gateway.url}/connection/websocket"] * 2) as (first, second):
        for client in (first, second):
            await connect(client, "a")
        miss(gateway, "a")
        if on_gap == "close":
            assert await first.ended() == INSUFFICIENT_STATE
        await published(gateway, "a", "two")
        await wait_until(lambda: told(second) == [("a", "two")], what="the channel goes on")
        assert first.is_open is (on_gap == "keep")
