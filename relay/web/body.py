"""Reads the body of a request, with a limit of its size and of its time."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from relay.errors import Refused

BODY_SECONDS = 10.0
"""How long a body may take to arrive."""


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body of a request.

    Args:
        request: from aiohttp.
        limit: most bytes.

    Raises:
        Refused: the body is too large (413), too slow (408), broken (400), or compressed (415).
        ConnectionError: the client has disconnected.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refused(415, "the body must not be compressed: Content-Encoding must be identity")
    if (request.content_length or 0) > limit:
        raise Refused(413, f"the body has {request.content_length} bytes, more than {limit}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise Refused(413, f"the body has more than {limit} bytes")
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except RuntimeError:
        # aiohttp raises this when the client disconnected before the first read.
        if request.transport is None:
            raise ConnectionResetError from None
        raise
    except (web.RequestPayloadError, ConnectionError) as error:
        # aiohttp's stream keeps its error. The traceback would hold this frame, and so the body and the stream: a
        # reference cycle for each client that disconnects in the middle of its body.
        error.__traceback__ = None
        if isinstance(error, ConnectionError):
            raise ConnectionResetError from None
        raise Refused(400, "the body is broken") from None
    return bytes(body)
