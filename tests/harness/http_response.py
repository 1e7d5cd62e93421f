"""A small HTTP/1.1 client: exact bytes out, one response back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.tls_socket import NAME, TRUSTED


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response.

    Args:
        status: status code.
        headers: names in lower case.
        body: the body, complete.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a response's head."""
    status_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return int(status_line.split(" ", 2)[1]), {name.strip().lower(): value.strip() for name, value in pairs}


async def read_response(reader: asyncio.StreamReader) -> HttpResponse:
    """Read one response; without a Content-Length the body ends with the connection."""
    status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return HttpResponse(status, headers, body)


async def get(port: int, target: str, within: float = PATIENCE_SECONDS, headers: Sequence[str] = ()) -> HttpResponse:
    """Send a plain GET to a port of 127.0.0.1 over a fresh connection.

    Args:
        port: TCP port.
        target: path and query, sent as they are.
        within: seconds for all of it; a `TimeoutError` otherwise.
        headers: further header lines, without line ends.
    """
    lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    return await send_request(port, "\r\n".join(lines).encode(), within)


async def send_request(port: int, request: bytes, within: float = PATIENCE_SECONDS) -> HttpResponse:
    """Send exact bytes to a port of 127.0.0.1 and return the response."""
    async with asyncio.timeout(within):
        tls = TRUSTED.get(port)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname=NAME if tls else None
        )
        try:
            writer.write(request)
            return await read_response(reader)
        finally:
            writer.transport.abort()
