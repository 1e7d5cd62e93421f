"""Why a gateway can't be reached, in words for a terminal, and the errors that say so."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import ClientConnectorCertificateError, ClientConnectorError, ClientError
from yarl import URL

from relay.cli.client_token import VARIABLE
from relay.cli.other_server import identify
from relay.errors import RelayError
from relay.sdk.connection_failure import describe_failure

START_ONE: Final = "`relay serve` starts a gateway, --gateway names another"


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


def describe_absence(error: ClientError | OSError) -> str:
    """Return why a connection failed, as `describe_failure` does, and what to do where nothing listens."""
    reason = describe_failure(error)
    if isinstance(error, ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return f"{reason}; {START_ONE}"
    return reason


async def check_gateway(url: URL, error: ClientError | TimeoutError) -> None:
    """Find out whether a request failed because there is no gateway.

    Args:
        url: that was connected to.
        error: of the request.

    Raises:
        NoGateway: another server is there, or TLS can't be used.
    """
    if isinstance(error, ClientConnectorCertificateError):
        raise NoGateway(url.origin(), describe_failure(error))
    if isinstance(error, ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return
    await _check_server(url)


async def check_scheme(url: URL, status: int) -> None:
    """Find out whether a request was refused because the gateway speaks TLS there.

    Args:
        url: of the request.
        status: HTTP status of the answer.

    Raises:
        NoGateway: it does.
    """
    if status == HTTPStatus.BAD_REQUEST and url.scheme == "ws":
        await _check_server(url)


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
        return (
            f"answered HTTP {status}: not every client may listen to this channel; put a key or token into {VARIABLE}"
        )
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


async def _check_server(url: URL) -> None:
    found = await identify(url.host or "", url.port or 0, tls=url.scheme in ("wss", "https"))
    if found is not None:
        raise NoGateway(url.origin(), found)
