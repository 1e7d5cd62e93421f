"""Loops over the messages of a channel."""

from __future__ import annotations

from collections.abc import AsyncIterable

from relay import Gateway, ReceivedMessage
from tests.conftest import EmbeddedFactory

KEPT = "kept:a"


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway that keeps messages of some channels."""
    (gateway,) = await embedded(1, namespaces={"kept": {"history_size": 20}}, **settings)
    return gateway


async def take(messages: AsyncIterable[ReceivedMessage], count: int) -> list[str | bytes]:
    """Read so many messages of a subscription that a block ends."""
    taken: list[str | bytes] = []
    async for message in messages:
        taken.append(message.data)
        if len(taken) == count:
            break
    return taken


async def read_into(got: list[str | bytes], messages: AsyncIterable[ReceivedMessage]) -> None:
    """Read messages until there are no more."""
    async for message in messages:
        got.append(message.data)  # noqa: PERF401  # what was read before an exception counts
