"""Clients that come in by every way, with credentials."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any, Final

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from relay import Gateway
from tests.auth.key_pairs import RSA, pem_of
from tests.harness.http_response import HttpResponse, parse_head, send_request

SECRET: Final = "the secret that only the issuer and the relay know, of 64 bytes."
KEY: Final = "k3y-of-the-deployment"
WAYS: Final = ("websocket", "events", "poll", "publish")

every_way = pytest.mark.parametrize("way", WAYS)


def token(secret: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
    """Return a token of Ann that is valid for an hour, unless the claims say something else."""
    standard = {"sub": "ann", "exp": int(time.time()) + 3600, "channels": {"chat:*": "rw", "news": "r"}}
    return jwt.encode({**standard, **claims}, secret, algorithm, headers)


def unsigned(algorithm: str) -> str:
    """Return a token without a signature."""
    parts = ({"alg": algorithm}, {"sub": "ann", "exp": 2**33, "channels": {"chat:*": "rw"}})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def confused() -> str:
    """Return a token that is signed with the public key as a secret."""
    head = unsigned("HS256").rstrip(".")
    signature = jwt.get_algorithm_by_name("HS256").sign(head.encode(), pem_of(RSA).encode())
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def ask(gateway: Gateway, way: str, channel: str, *headers: str, query: str = "") -> HttpResponse:
    """Send the request of a client that comes in by one of the ways, and return the answer.

    Args:
        gateway: where to.
        way: one of `WAYS`.
        channel: percent-encoded.
        headers: lines.
        query: of the URL, with the `?`.
    """
    lines = "".join(f"{line}\r\n" for line in ("Host: localhost", "Connection: close", *headers))
    if way == "poll":
        head = f"GET /poll/{channel}{query or '?'}&wait=0 HTTP/1.1\r\n{lines}\r\n"
        return await send_request(gateway.port, head.encode())
    if way == "publish":
        head = f"POST /publish/{channel}{query} HTTP/1.1\r\n{lines}Content-Type: text/plain\r\n"
        return await send_request(gateway.port, f"{head}Content-Length: 5\r\n\r\nhello".encode())
    if way == "events":
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        try:
            writer.write(f"GET /sse/{channel}{query} HTTP/1.1\r\n{lines}\r\n".encode())
            status, found = parse_head(await reader.readuntil(b"\r\n\r\n"))
            return HttpResponse(status, found, b"" if status == 200 else await reader.read())
        finally:
            writer.close()
    try:
        sent = dict(line.split(": ", 1) for line in headers)
        async with connect(f"{gateway.url}/ws/{channel}{query}", additional_headers=sent):
            return HttpResponse(101, {}, b"")
    except InvalidStatus as refused:
        return HttpResponse(
            refused.response.status_code,
            {name.lower(): value for name, value in refused.response.headers.raw_items()},
            bytes(refused.response.body),
        )
