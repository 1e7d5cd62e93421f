"""Why a gateway can't be reached, in words."""

from __future__ import annotations

import os
import ssl

from aiohttp import ClientConnectorCertificateError, ClientConnectorError, ClientError, ServerDisconnectedError

from relay.system_error import in_words


def describe_failure(error: ClientError | OSError) -> str:
    """Return why a connection failed: the rest of a sentence that begins with the gateway.

    Args:
        error: of the connection. Its own text mentions TLS, whether there is any or not.
    """
    if isinstance(error, TimeoutError):
        return "did not answer"
    if isinstance(error, ClientConnectorCertificateError):
        return f"can't be reached: {in_words(error.certificate_error)}"
    if isinstance(error, ServerDisconnectedError):
        return "closed the connection without an answer"
    if not isinstance(error, ClientConnectorError):
        return f"broke off: {in_words(error)}"
    cause = error.os_error
    # Not asyncio's own text, which repeats the address. Numbers below 0 are those of the resolver.
    number = 0 if isinstance(cause, ssl.SSLError) else cause.errno or 0
    words = os.strerror(number) if number > 0 else in_words(cause)
    return f"can't be reached: {words if words.startswith('TLS') else words[:1].lower() + words[1:]}"
