"""Why a gateway can't be reached, in words for a terminal, and the errors that say so."""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ServerDisconnectedError,
    WSServerHandshakeError,
)
from yarl import URL

from relay.cli.client_token import VARIABLE
from relay.cli.other_server import identify
from relay.errors import RelayError
from relay.system_error import in_words


class GatewayError(RelayError):
    """A gateway doesn't do what a command asks of it.

    Args:
        gateway: scheme, host and port.
        reason: the rest of a sentence that begins with the gateway.
    """

    def __init__(self, gateway: URL, reason: str) -> None:
        super().__init__(gateway, reason)
        self.gateway = gateway
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.gateway} {self.reason}"


class NoGateway(GatewayError):
    """Another server is at a gateway's address, or its TLS can't be used, so trying again won't help."""


async def check_gateway(url: URL, error: ClientError | TimeoutError) -> None:
    """Find out whether a handshake failed because there is no gateway.

    Args:
        url: that was connected to.
        error: of the handshake.

    Raises:
        NoGateway: another server is there, or TLS can't be used.
    """
    if isinstance(error, ClientConnectorCertificateError):
        raise NoGateway(url.origin(), unreachable(error))
    if isinstance(error, ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return
    found = await identify(url.host or "", url.port or 0, tls=url.scheme in ("wss", "https"))
    if found is not None:
        raise NoGateway(url.origin(), found)


async def check_scheme(url: URL, error: WSServerHandshakeError) -> None:
    """Find out whether a handshake was refused because the gateway speaks TLS there.

    Raises:
        NoGateway: it does.
    """
    if error.status == HTTPStatus.BAD_REQUEST and url.scheme == "ws":
        await check_gateway(url, error)


def answered(status: int, token: str | None = None) -> str:
    """Return the reason of a `GatewayError`: a gateway answered a handshake with an HTTP status.

    Args:
        status: of its answer.
        token: with which the command came; None: with none.
    """
    if status == HTTPStatus.UNAUTHORIZED and token is None:
        return f"answered HTTP {status}: it wants a key or a token, with {VARIABLE} or --token"
    if status == HTTPStatus.UNAUTHORIZED:
        return f"answered HTTP {status}: it doesn't accept this key or token; `relay token --check` may know why"
    if status == HTTPStatus.FORBIDDEN and token is None:
        return f"answered HTTP {status}: not everybody may listen to this channel; a key or token goes into {VARIABLE}"
    if status == HTTPStatus.FORBIDDEN:
        return f"answered HTTP {status}: this key or token gives no right to listen to the channel"
    if status == HTTPStatus.UPGRADE_REQUIRED:
        return f"answered HTTP {status}: a proxy on the way doesn't pass on WebSockets"
    if status < HTTPStatus.BAD_REQUEST or status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return f"answered HTTP {status}: there is no relay at this address"
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        return f"answered HTTP {status}: its RELAY_ALLOWED_HOSTS doesn't have the name in this address"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"answered HTTP {status}: this address or user has reached a limit; the gateway's log says which"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return f"answered HTTP {status}: it is full, is shutting down, or can't reach its bus; ask `relay health`"
    return f"answered HTTP {status}"


def unreachable(error: ClientError) -> str:
    """Return the reason of a `GatewayError`: a connection failed.

    Args:
        error: of the connection. Its own text mentions TLS, whether there is any or not.
    """
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
