"""The answer to a client that isn't let in."""

from __future__ import annotations

import random
from collections.abc import Mapping
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response


def refusal(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    """Return an HTTP error that says why, and that nothing follows.

    Args:
        status: 4xx or 5xx.
        reason: a sentence.
        headers: further ones.
    """
    body = f"{reason}\n".encode()
    answer = Headers(headers)
    answer["Connection"] = "close"
    answer["Content-Type"] = "text/plain; charset=utf-8"
    answer["Content-Length"] = str(len(body))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Spread, so that those who were refused together don't come back together.
        answer["Retry-After"] = str(random.randint(1, 5))
    return Response(status, HTTPStatus(status).phrase, answer, body).serialize()
