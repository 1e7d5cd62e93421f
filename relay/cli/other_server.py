"""The server at an address that was taken for a gateway's: what it is, by what it says."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final

from relay.redaction import escape_controls

ANSWER_SECONDS: Final = 1.0
"""For each answer of a server; most requests are sent at the same time."""

SHOWN_CHARACTERS: Final = 40

_REDIS = b"PING\r\n"
_HTTP = b"GET / HTTP/1.0\r\n\r\n"

_TLS_ALERT = b"\x15\x03"


async def identify(host: str, port: int, *, tls: bool, answer_seconds: float = ANSWER_SECONDS) -> str | None:
    """Find out which server listens at a port, after a WebSocket handshake with it has failed.

    Args:
        host: name or address.
        port: TCP port.
        tls: whether the handshake was over TLS.
        answer_seconds: for each answer of the server.

    Returns:
        The rest of a sentence that begins with its address; None when it may be a gateway, or says nothing.
    """
    # Before the other requests: some servers have one client at a time.
    if await _speaks_tls(host, port, answer_seconds):
        return None if tls else "speaks TLS: write wss:// or https://"
    answers = (_answer(host, port, request, answer_seconds) for request in (b"", _REDIS, _HTTP))
    greeting, pong, page = await asyncio.gather(*answers)
    if greeting.startswith(b"SSH-"):
        return "is an SSH server, not a relay"
    if pong.startswith((b"+PONG", b"-NOAUTH", b"-DENIED", b"-LOADING", b"-MASTERDOWN", b"-NOPERM")):
        return "is a Redis, not a relay: a gateway's address is wanted"
    if page.startswith(b"HTTP/"):
        return "speaks no TLS: write ws:// or http://" if tls else None  # the caller knows its HTTP status
    said = next((text for text in (greeting, page, pong) if text and not text.startswith(_TLS_ALERT)), b"")
    line = said.split(b"\n")[0].decode(errors="replace").rstrip("\r")[:SHOWN_CHARACTERS]
    return f"is not a relay: it says {escape_controls(line)!r}" if said else None


async def _answer(host: str, port: int, request: bytes, answer_seconds: float) -> bytes:
    """Return the first bytes of a server's answer to a request; empty when it says nothing."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(answer_seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.read(512)
            finally:
                writer.transport.abort()
    return b""


async def _speaks_tls(host: str, port: int, answer_seconds: float) -> bool:
    context = ssl.create_default_context()
    # No certificate is checked: nothing is sent, and only the end of the handshake counts.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):  # an SSLError is an OSError
        async with asyncio.timeout(answer_seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
            return True
    return False
