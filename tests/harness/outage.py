"""A time in which the bus was broken, and what clients may have missed because of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from tests.harness.conditions import wait_until
from tests.harness.history import Label, Payload, check_history, first_disagreement, label_of
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.websocket_client import WebSocketClient

STAYING = {"on_gap": "keep"}
"""Settings of gateways whose clients are looked at around a gap: by default it closes them, one after the other."""


class Outage:
    """From the fault to the moment at which every gateway said that it is ready again. It begins when it is made.

    A message that was sent before may still be on its way as it begins, for as long as a busy machine takes: so what
    counts is what clients had received by then. A message of which they have a later one of its publisher had arrived.

    Args:
        histories: what each client has received so far, in its order.

    Attributes:
        began: monotonic time.
    """

    def __init__(self, histories: Iterable[Sequence[Payload]]) -> None:
        self.began = time.monotonic()
        self._ended = math.inf
        self._latest = [_latest(history) for history in histories]

    def end(self) -> None:
        """Excuse nothing that is sent from now on."""
        self._ended = time.monotonic()

    def excuses(self, client: int, label: Label, moment: float) -> bool:
        """Return whether a client may have lost a message.

        Args:
            client: which of the histories is its one.
            label: of the message.
            moment: monotonic time at which it was sent.
        """
        if moment < self.began:
            return label.number > self._latest[client].get(label.publisher, -1)
        return moment <= self._ended


async def check_around_outage(
    listeners: Sequence[WebSocketClient], publishers: Sequence[NumberedPublisher], outage: Outage
) -> None:
    """Check that nothing came twice or in a wrong order, and that only what the outage excuses was lost.

    Args:
        listeners: clients that were connected all the time, and sent nothing; their histories were given to the outage.
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

    def inexcusable() -> list[list[tuple[Label, float]]]:
        lost = [check_history(client.received, sent).lost for client in listeners]
        return [
            [(label, sent_at[label] - outage.began) for label in labels if not outage.excuses(n, label, sent_at[label])]
            for n, labels in enumerate(lost)
        ]

    await wait_until(
        lambda: not any(inexcusable()),
        what=lambda: f"lost, with seconds after the fault: {[lost[:20] for lost in inexcusable()]}",
    )
    for client in listeners:
        anomalies = check_history(client.received, sent)
        assert not anomalies.duplicated + anomalies.reordered + anomalies.unknown
        assert client.is_open, "who only listens is not closed"
    assert first_disagreement([client.received for client in listeners]) is None


def _latest(history: Sequence[Payload]) -> dict[str, int]:
    """Return the latest message of each publisher."""
    return {label.publisher: label.number for label in map(label_of, history)}
