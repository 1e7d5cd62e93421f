"""The answer to a request that is refused before anything else of the relay has seen it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

TLS_HANDSHAKE: Final = b"\x16\x03"
"""What everything begins with that a TLS client sends first (RFC 8446, section 5.1)."""

TLS_ALERT: Final = bytes((0x15, 3, 1, 0, 2, 2, 70))
"""A fatal alert `protocol_version`: a TLS client says at once that its server speaks something else."""


def http_error(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    """Return an HTTP error that says why, and that nothing follows.

    Args:
        status: 4xx or 5xx.
        reason: a sentence.
        headers: further ones.
    """
    body = f"{reason}\n".encode()
    answer = {
        **headers,
        "Server": "relay",
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Spread, so that clients that were refused together don't come back together.
        answer["Retry-After"] = str(random.randint(1, 5))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {answer[name]}" for name in answer)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
