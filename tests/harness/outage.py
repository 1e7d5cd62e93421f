"""A time in which the bus was broken, and what clients may have missed because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.harness.conditions import wait_until
from tests.harness.history import Label, check_history, first_disagreement
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.websocket_client import WebSocketClient

STAYING = {"on_gap": "keep"}
"""Settings of gateways whose clients are looked at around a gap: by default it closes them, one after the other."""

SLACK_SECONDS = 0.25
"""How long a message may be on its way before the outage begins or after it ends."""


@dataclass(frozen=True, slots=True)
class Outage:
    """From the fault to the moment at which every gateway said that it is ready again.

    Args:
        began: monotonic time.
        ended: monotonic time.
    """

    began: float
    ended: float

    def excuses(self, moment: float) -> bool:
        """Return whether a message that was sent at a moment may be lost."""
        return self.began - SLACK_SECONDS <= moment <= self.ended + SLACK_SECONDS


async def check_around_outage(
    listeners: Sequence[WebSocketClient], publishers: Sequence[NumberedPublisher], outage: Outage
) -> None:
    """Check that nothing came twice or in a wrong order, and that only what the outage excuses was lost.

    Args:
        listeners: clients that were connected all the time, and sent nothing.
        publishers: all who published; stopped by now.
        outage: when the bus was broken.
    """
    sent = {name: count for publisher in publishers for name, count in publisher.sent.items()}
    sent_at = {
        Label(session.name, number): moment
        for publisher in publishers
        for session in publisher.sessions
        for number, moment in enumerate(session.sent_at)
    }

    def inexcusable(client: WebSocketClient) -> list[tuple[Label, float]]:
        lost = check_history(client.received, sent).lost
        return [(label, sent_at[label] - outage.began) for label in lost if not outage.excuses(sent_at[label])]

    await wait_until(
        lambda: not any(map(inexcusable, listeners)),
        what=lambda: f"lost, with seconds after the fault: {[inexcusable(client)[:20] for client in listeners]}",
    )
    for client in listeners:
        anomalies = check_history(client.received, sent)
        assert not anomalies.duplicated + anomalies.reordered + anomalies.unknown
        assert client.is_open, "who only listens is not closed"
    assert first_disagreement([client.received for client in listeners]) is None
