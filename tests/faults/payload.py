"""The messages of a run: each payload begins with its label, and has a digest."""

from __future__ import annotations

import hashlib

Payload = str | bytes


def make_payload(label: str, size: int = 0, *, binary: bool = False) -> Payload:
    """Return a message that begins with its label, filled up to so many bytes."""
    text = f"{label} ".ljust(size, ".")
    return text.encode() if binary else text


def label_of(payload: Payload) -> str:
    """Return the label of a message; all of it, when it has none."""
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    return text.partition(" ")[0]


def digest_of(payload: Payload) -> str:
    """Return the digest of a message and of its kind, text or binary."""
    kind, data = (b"t", payload.encode()) if isinstance(payload, str) else (b"b", payload)
    return hashlib.blake2b(kind + data, digest_size=8).hexdigest()
