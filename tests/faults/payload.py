"""The messages of a run: each payload begins with its label, and has a digest.

Each is a string of JSON, so that clients of all protocols can get it as it is.
"""

from __future__ import annotations

import hashlib
import json

Payload = str | bytes

_BINARY = "b"
_TEXT = "t"


def make_payload(label: str, size: int = 0, *, binary: bool = False) -> Payload:
    """Return a message that begins with its label, filled up to so many bytes."""
    text = json.dumps(f"{label} {_BINARY if binary else _TEXT}".ljust(size - 2, "."))
    return text.encode() if binary else text


def payload_of(data: object) -> Payload:
    """Return the message which a client of JSON has got as a value: that doesn't say whether it was binary."""
    text = json.dumps(data)
    binary = isinstance(data, str) and data.partition(" ")[2].startswith(_BINARY)
    return text.encode() if binary else text


def label_of(payload: Payload) -> str:
    """Return the label of a message; all of it, when it has none."""
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    return text.removeprefix('"').partition(" ")[0]


def digest_of(payload: Payload) -> str:
    """Return the digest of a message and of its kind, text or binary."""
    kind, data = (b"t", payload.encode()) if isinstance(payload, str) else (b"b", payload)
    return hashlib.blake2b(kind + data, digest_size=8).hexdigest()
