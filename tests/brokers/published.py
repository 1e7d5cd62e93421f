"""Messages of channels with positions."""

from __future__ import annotations

from relay.brokers.history import MAX_PAGE, HistoryPage
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.brokers.recording import Outcomes, Station
from tests.harness.conditions import wait_until

NAMESPACES = Namespaces(
    named={
        "h": ChannelOptions(history_size=10),
        "all": ChannelOptions(history_size=MAX_PAGE + 10),
        "small": ChannelOptions(history_size=100, history_bytes=1000),
        "short": ChannelOptions(history_size=10, history_ttl=0.05),
        "p": ChannelOptions(positions=True),
    }
)


async def publish(station: Station, channel: str, *payloads: bytes, key: str | None = None) -> list[Position]:
    """Publish messages, and return their positions."""
    outcomes = Outcomes()
    for payload in payloads:
        station.say(channel, payload, receipt=outcomes, key=key)
    await wait_until(lambda: len(outcomes.heard) == len(payloads), what=lambda: outcomes.errors)
    positions = [position for position in outcomes.positions if position is not None]
    assert len(positions) == len(payloads)
    return positions


def payloads(page: HistoryPage) -> list[bytes]:
    return [message.payload for message in page.messages]


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(1, count + 1)]
