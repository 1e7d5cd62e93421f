"""Idempotency keys: by which a message that is published again is known as the same."""

from __future__ import annotations

from typing import Final

from relay.errors import RelayError

MAX_LETTERS: Final = 255
"""A bus that keeps keys in memory keeps them as they are."""

RULE: Final = f"must have 1 to {MAX_LETTERS} printable ASCII characters"


class IdempotencyKeyError(RelayError, ValueError):
    """A text can't be an idempotency key."""

    def __str__(self) -> str:
        return f"an idempotency key {RULE}"


def check_idempotency_key(key: str) -> str:
    """Return a key that is legal.

    An empty one would make all messages of a channel the same. Printable, because it travels in headers and logs.

    Raises:
        IdempotencyKeyError: it is not.
    """
    if not (1 <= len(key) <= MAX_LETTERS and key.isascii() and key.isprintable()):
        raise IdempotencyKeyError
    return key
