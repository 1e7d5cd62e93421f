"""The server API as a back end calls it, byte by byte."""

from __future__ import annotations

import json
from typing import Any

from tests.harness.http_response import HttpResponse, send_request

KEY = "a-key-of-the-tests"


def request(target: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    """Return a request as it travels."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def call_raw(port: int, method: str, body: bytes, *headers: str, key: str = KEY) -> HttpResponse:
    """Call a method of the API with exact bytes."""
    return await send_request(port, request(f"/api/{method}", body, f"X-API-Key: {key}", *headers))


async def call(port: int, method: str, parameters: object) -> Any:
    """Call a method of the API; return its reply, which must come with status 200."""
    response = await call_raw(port, method, json.dumps(parameters).encode())
    assert response.status == 200, response
    assert response.headers["content-type"].startswith("application/json")
    return response.json


async def publish(port: int, target: str, body: bytes, *headers: str) -> HttpResponse:
    """Publish as `curl -d` does."""
    given = headers or ("Content-Type: application/x-www-form-urlencoded",)
    return await send_request(port, request(target, body, *given))


async def error_of(port: int, method: str, **parameters: object) -> tuple[int, str]:
    """Return code and message of the error of a command."""
    error = (await call(port, method, parameters))["error"]
    return error["code"], error["message"]
