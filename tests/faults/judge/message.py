"""What is known of a message."""

from __future__ import annotations

import sys
from typing import Final

from tests.faults.operations import Published

NEVER: Final = sys.maxsize
"""The place of an operation that is not in the history."""

Place = tuple[str, int]
"""A position: epoch and offset."""


class Message:
    """What is known of a message. "Where" is the place of an operation in the history.

    Attributes:
        operation: how it was published.
        published: where.
        acknowledged: where, or `NEVER`.
        refused: where, or `NEVER`.
        settled_at: when either of the two was; infinite: never.
        known: where it was first acknowledged or received; `NEVER`.
        text: its position, as it was first told; None: no one was told.
        places: its positions, each with where it was told: a history that was kept goes on in another epoch, with the
            same offsets.
        twice: whether it may have been published twice, because Redis had forgotten its idempotency key.
    """

    __slots__ = (
        "acknowledged",
        "known",
        "operation",
        "places",
        "published",
        "refused",
        "settled_at",
        "text",
        "twice",
    )

    def __init__(self, operation: Published, published: int) -> None:
        self.operation = operation
        self.published = published
        self.acknowledged = self.refused = self.known = NEVER
        self.settled_at = float("inf")
        self.text: str | None = None
        self.places: list[tuple[Place, int]] = []
        self.twice = False

    @property
    def label(self) -> str:
        """Its label."""
        return self.operation.message

    @property
    def placed(self) -> int:
        """Where its position was first told; `NEVER`."""
        return self.places[0][1] if self.places else NEVER

    @property
    def position(self) -> Place | None:
        """Its position, as it was first told."""
        return self.places[0][0] if self.places else None

    def offset_in(self, epoch: str) -> int:
        """Return its offset in an epoch; 0: none is known."""
        return next((offset for (name, offset), _ in self.places if name == epoch), 0)

    def __str__(self) -> str:
        return self.label + (f" ({self.text})" if self.text else "")


def place_of(text: str) -> Place:
    """Return the position that a text names; what names none is an epoch of its own."""
    epoch, _, offset = text.rpartition(":")
    return (epoch, int(offset)) if offset.isdecimal() else (text, 0)
