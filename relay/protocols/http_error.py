"""Responses to requests that are refused before aiohttp sees them, and to TLS clients."""

from __future__ import annotations

import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

TLS_HANDSHAKE: Final = b"\x16\x03"
"""The first bytes of every TLS client (RFC 8446, section 5.1)."""

TLS_ALERT: Final = bytes((0x15, 3, 1, 0, 2, 2, 70))
"""A fatal alert `protocol_version`: the TLS client can report at once that the server speaks something else."""


def http_error(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    """Return an HTTP error response that closes the connection.

    Args:
        status: 4xx or 5xx.
        reason: a sentence; the body.
        headers: further headers.
    """
    body = f"{reason}\n".encode()
    fields = {
        **headers,
        "Server": "relay",
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Random, so that clients that were refused together do not come back together.
        fields["Retry-After"] = str(random.randint(1, 5))  # noqa: S311  # spreads load, guards nothing
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
