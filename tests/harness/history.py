"""What clients received, compared with what publishers sent.

Every test message names its publisher and its number; a history is what one client received, in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

Payload = str | bytes


class Label(NamedTuple):
    """Who sent a message, and which of its messages it is (from 0)."""

    publisher: str
    number: int


def labelled(publisher: str, number: int, size: int = 0) -> str:
    """Return a text message that carries its label, filled up to `size` bytes."""
    return f"{publisher}|{number}|".ljust(size, ".")


def label_of(message: Payload) -> Label:
    """Return the label of a message.

    Raises:
        ValueError: it has none.
    """
    text = message if isinstance(message, str) else message.decode()
    publisher, number, _ = text.split("|", 2)
    return Label(publisher, int(number))


@dataclass(frozen=True, slots=True)
class Anomalies:
    """What is wrong with a history; all empty when nothing is.

    Args:
        lost: sent, and not received.
        duplicated: received again.
        reordered: received after a later message of the same publisher.
        unknown: received, and never sent.
    """

    lost: list[Label] = field(default_factory=list)
    duplicated: list[Label] = field(default_factory=list)
    reordered: list[Label] = field(default_factory=list)
    unknown: list[Label] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.duplicated or self.reordered or self.unknown)


def check_history(received: Iterable[Payload], sent: Mapping[str, int]) -> Anomalies:
    """Compare what one client received with what was sent.

    Args:
        received: messages in the order of arrival.
        sent: how many messages each publisher sent, numbered from 0.
    """
    anomalies = Anomalies()
    seen: set[Label] = set()
    latest: dict[str, int] = {}
    for label in map(label_of, received):
        if not 0 <= label.number < sent.get(label.publisher, 0):
            anomalies.unknown.append(label)
        elif label in seen:
            anomalies.duplicated.append(label)
        elif label.number < latest.get(label.publisher, -1):
            anomalies.reordered.append(label)
        seen.add(label)
        latest[label.publisher] = max(label.number, latest.get(label.publisher, -1))
    for publisher, count in sent.items():
        anomalies.lost.extend(label for n in range(count) if (label := Label(publisher, n)) not in seen)
    return anomalies


def first_disagreement(histories: Sequence[Sequence[Payload]]) -> tuple[int, int, Label] | None:
    """Return where two clients saw a different order, or None when all saw the same.

    Only messages that both received are compared, each at its first arrival: a client doesn't get its own ones.

    Returns:
        indexes of two histories, and the first label that they disagree on.
    """
    orders = [list(dict.fromkeys(map(label_of, history))) for history in histories]
    members = [frozenset(order) for order in orders]
    for one, other in combinations(range(len(orders)), 2):
        left = [label for label in orders[one] if label in members[other]]
        right = [label for label in orders[other] if label in members[one]]
        for mine, theirs in zip(left, right, strict=True):
            if mine != theirs:
                return one, other, mine
    return None
