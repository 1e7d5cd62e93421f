"""Which keys are legal."""

from __future__ import annotations

import pytest

from relay.idempotency_key import MAX_LETTERS, IdempotencyKeyError, check_idempotency_key


@pytest.mark.parametrize(
    "key", ["k", "order 42", '"quoted"', "k" * MAX_LETTERS, "8e03978e-40d5-43dd-bc93-6894a57f9324"]
)
def test_printable_ascii_is_legal(key: str) -> None:
    assert check_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", "k" * (MAX_LETTERS + 1), "a\n", "a\0b", "\u00e9", "\u20ac", "\x7f", "\ud800"])
def test_others_are_refused_with_the_rule(key: str) -> None:
    with pytest.raises(IdempotencyKeyError, match="an idempotency key must have 1 to 255 printable ASCII characters"):
        check_idempotency_key(key)
