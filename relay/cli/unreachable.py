"""Why a gateway can't be reached, in words for a terminal."""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ServerDisconnectedError,
)
from yarl import URL

from relay.cli.other_server import identify
from relay.system_error import in_words


class NoGateway(Exception):
    """Something else is at a gateway's address, so trying again won't help; its text says what."""


async def check_gateway(url: URL, error: ClientError | TimeoutError) -> None:
    """Find out whether a handshake failed because there is no gateway.

    Args:
        url: that was connected to.
        error: of the handshake.

    Raises:
        NoGateway: something else is there, or TLS isn't as it should be.
    """
    if isinstance(error, ClientConnectorCertificateError):
        raise NoGateway(f"{url.origin()} {unreachable(error)}")
    if isinstance(error, ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return
    found = await identify(url.host or "", url.port or 0, tls=url.scheme == "wss")
    if found is not None:
        raise NoGateway(f"{url.origin()} {found}")


def answered(status: int) -> str:
    """Return what to say behind the place of a gateway that answered a handshake with an HTTP status."""
    if status == HTTPStatus.UPGRADE_REQUIRED:
        return f"answered HTTP {status}: a proxy on the way doesn't pass on WebSockets"
    if status < HTTPStatus.BAD_REQUEST or status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return f"answered HTTP {status}: there is no relay at this address"
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        return f"answered HTTP {status}: its RELAY_ALLOWED_HOSTS doesn't have the name in this address"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return f"answered HTTP {status}: it is full, is shutting down, or can't reach its bus; ask `relay health`"
    return f"answered HTTP {status}"


def unreachable(error: ClientError) -> str:
    """Return what to say behind the place of a gateway.

    Args:
        error: of a connection. aiohttp's own words for one that wasn't made speak of TLS, whether there is any or not.
    """
    if isinstance(error, ClientConnectorCertificateError):
        return f"can't be reached: {in_words(error.certificate_error)}"
    if isinstance(error, ServerDisconnectedError):
        return "closed the connection without an answer"
    if not isinstance(error, ClientConnectorError):
        return f"broke off: {in_words(error)}"
    cause = error.os_error
    # What asyncio says instead has the address in it, which is said already. Numbers below 0 are those of the resolver.
    number = 0 if isinstance(cause, ssl.SSLError) else cause.errno or 0
    words = os.strerror(number) if number > 0 else in_words(cause)
    return f"can't be reached: {words if words.startswith('TLS') else words[:1].lower() + words[1:]}"
