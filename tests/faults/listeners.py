"""Clients of all kinds that listen for as long as a run lasts, and come back when their connection ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from websockets.exceptions import InvalidHandshake

from tests.faults.record import Hearing
from tests.faults.slot import Slot
from tests.harness.event_source import EventStreamClient
from tests.harness.poll_client import PollClient, messages_of
from tests.harness.websocket_client import WebSocketClient

LOOK_SECONDS = 0.05
"""How often a client's new messages are noted, and how soon it comes back."""

POLL_WAIT_SECONDS = 2.0

Keep = Callable[[Hearing], None]
"""Takes a hearing when it begins; it grows as long as it goes on."""

FAILURES = (InvalidHandshake, OSError, EOFError)


async def hear_websocket(name: str, slot: Slot, channel: str, keep: Keep) -> None:
    """Listen with WebSockets until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            client = await WebSocketClient.connect(slot.url(channel))
        except FAILURES:
            continue
        hearing = Hearing(name, slot.number, channel, time.monotonic())
        keep(hearing)
        try:
            going_on = True
            while going_on:
                await asyncio.sleep(LOOK_SECONDS)
                going_on = client.is_open
                noted = len(hearing.received)
                hearing.received += zip(client.received[noted:], client.received_at[noted:], strict=True)
            hearing.ended, hearing.ending = client.closed_at, (client.close_code, client.close_reason)
        finally:
            await client.abort()


class _EventStream(EventStreamClient):
    """Notes each event as it comes."""

    hearing: Hearing

    def _take(self, chunk: bytes) -> None:
        before = len(self.events)
        super()._take(chunk)
        now = time.monotonic()
        self.hearing.received += ((event.payload, now) for event in self.events[before:])


async def hear_events(name: str, slot: Slot, channel: str, keep: Keep) -> None:
    """Listen with streams of server-sent events until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        stream = _EventStream(slot.port, f"/sse/{channel}")
        hearing = stream.hearing = Hearing(name, slot.number, channel, float("inf"))
        with suppress(*FAILURES):
            async with stream:
                if stream.head.status == 200:
                    hearing.began = time.monotonic()
                    keep(hearing)
                    await stream.to_the_end(within=float("inf"))
                    hearing.ended, hearing.ending = time.monotonic(), stream.closed


async def hear_polls(name: str, slot: Slot, channel: str, keep: Keep) -> None:
    """Listen with polls until cancelled, on whatever gateway is there."""
    client = PollClient(slot.port, channel)
    hearing = Hearing(name, slot.number, channel, float("inf"), answers=[])
    assert hearing.answers is not None
    while True:
        client.port = slot.port
        try:
            response = await client.ask(POLL_WAIT_SECONDS)
        except FAILURES:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        if response.status != 200:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        now = time.monotonic()
        if client.cursor is None:
            hearing.began = now
            keep(hearing)
        answer = response.json
        client.cursor = answer["cursor"]
        hearing.answers.append((now, answer["missed"]))
        hearing.received += ((message, now) for message in messages_of(answer))
