"""Why a gateway can't be reached, in words for a terminal."""

from __future__ import annotations

import os

from aiohttp import ClientConnectorCertificateError, ClientConnectorError, ClientError, ClientSSLError


def unreachable(error: ClientError) -> str:
    """Return what to say behind the place of a gateway.

    Args:
        error: of a connection. aiohttp's own words for one that wasn't made speak of TLS, whether there is any or not.
    """
    if isinstance(error, ClientConnectorCertificateError):
        return f"can't be reached: {error.certificate_error}"
    if not isinstance(error, ClientConnectorError):
        return f"broke off: {str(error) or type(error).__name__}"
    if isinstance(error, ClientSSLError):
        # Its number is one of TLS.
        return f"can't be reached: {error.os_error}"
    cause = error.os_error
    # What asyncio says instead has the address in it, which is said already. Numbers below 0 are those of the resolver.
    words = os.strerror(cause.errno) if cause.errno is not None and cause.errno > 0 else cause.strerror or str(cause)
    return f"can't be reached: {words[:1].lower()}{words[1:]}"
