"""What listens at a port that is not the gateway one took it for."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final

from relay.redaction import escape_controls

ANSWER_SECONDS: Final = 1.0
"""How long a server may take to say something; most questions are asked at the same time."""

SHOWN_CHARACTERS: Final = 40

_REDIS = b"PING\r\n"
_HTTP = b"GET / HTTP/1.0\r\n\r\n"

_TLS_ALERT = b"\x15\x03"


async def identify(host: str, port: int, *, tls: bool) -> str | None:
    """Ask a port what it is, after a handshake with it has failed.

    Args:
        host: name or address.
        port: TCP port.
        tls: whether TLS was spoken to it.

    Returns:
        What to say behind its name; None when it seems to be what it should be, or says nothing.
    """
    # By itself: some servers have one client at a time.
    if await _speaks_tls(host, port):
        return None if tls else "speaks TLS: write wss:// or https://"
    greeting, pong, page = await asyncio.gather(*(_answer(host, port, word) for word in (b"", _REDIS, _HTTP)))
    if greeting.startswith(b"SSH-"):
        return "is an SSH server, not a relay"
    if pong.startswith((b"+PONG", b"-NOAUTH", b"-DENIED", b"-LOADING", b"-MASTERDOWN", b"-NOPERM")):
        return "is a Redis, not a relay: a gateway's address is wanted"
    if page.startswith(b"HTTP/"):
        return "speaks no TLS: write ws:// or http://" if tls else None  # its status says more
    said = next((text for text in (greeting, page, pong) if text and not text.startswith(_TLS_ALERT)), b"")
    line = said.split(b"\n")[0].decode(errors="replace").rstrip("\r")[:SHOWN_CHARACTERS]
    return f"is not a relay: it says {escape_controls(line)!r}" if said else None


async def _answer(host: str, port: int, question: bytes) -> bytes:
    """Return the beginning of what a server says to a question; empty when it says nothing."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(question)
                return await reader.read(512)
            finally:
                writer.transport.abort()
    return b""


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    # It is asked for nothing but whether it is there, and told nothing.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):  # an SSLError is an OSError
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
            return True
    return False
