"""The delivery of one message through a gateway, confirmed by its echo, or by the answer to a request."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import Final

from aiohttp import ClientError, ClientSession, WSMsgType, WSServerHandshakeError
from yarl import URL

from relay.cli.client_token import token_headers
from relay.cli.unreachable import GatewayError, answered, check_gateway, check_scheme, describe_absence
from relay.errors import PublishError
from relay.sdk.client import Client
from relay.sdk.errors import ClientRefused

TIMEOUT_SECONDS: Final = 15.0
"""For everything; more than the 5 s for which a gateway, by default, keeps a message while its bus is away."""

HANDSHAKE_SECONDS: Final = 10.0
"""At most, of that, for the handshake: time must be left to find out which other server is there."""


class NotDelivered(GatewayError):
    """A gateway did not deliver a message, or perhaps did not: its echo did not come back."""


async def deliver(
    url: URL,
    payload: str | bytes,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Send one message, and wait until the bus delivers it to its publisher, too.

    Args:
        url: of the channel, with `echo=1`.
        payload: text, or bytes for a binary message.
        token: key or token to come in with; None: none.
        tls: for wss://; None: the authorities of the system are trusted.
        timeout_seconds: for everything.

    Raises:
        NotDelivered: it did not come back.
        NoGateway: another server is at that address.
    """
    try:
        async with asyncio.timeout(timeout_seconds), ClientSession(headers=token_headers(token)) as session:
            await _send(session, url, payload, tls)
    except TimeoutError:
        raise NotDelivered(url.origin(), f"did not answer within {timeout_seconds:g} s") from None
    except WSServerHandshakeError as error:
        reason = answered(error.status, token)
        if error.status == HTTPStatus.FORBIDDEN:
            reason += ", which this command needs, too, as it waits for its echo"
        raise NotDelivered(url.origin(), reason) from None
    except ClientError as error:
        raise NotDelivered(url.origin(), describe_absence(error)) from None


async def deliver_once(
    url: URL,
    channel: str,
    payload: str | bytes,
    idempotency_key: str,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Send one message by HTTP, and again after errors, until the bus has acknowledged it: it is published once.

    Args:
        url: of the channel.
        channel: its name.
        payload: text, or bytes for a binary message.
        idempotency_key: by which the message is known.
        token: key or token to come in with; None: none.
        tls: for https://; None: the authorities of the system are trusted.
        timeout_seconds: for all tries together.

    Raises:
        NotDelivered: it was not published, or perhaps not.
        NoGateway: another server is at that address.
    """
    address = str(url.with_query(None))
    try:
        async with asyncio.timeout(timeout_seconds), Client(address, token=token, tls=tls) as client:
            await client.publish(channel, payload, idempotency_key=idempotency_key)
    except TimeoutError:
        raise NotDelivered(url.origin(), f"did not acknowledge it within {timeout_seconds:g} s") from None
    except ClientRefused as error:
        await check_scheme(url, error.status)
        reason = f"answered HTTP {error.status}: {error.reason}"
        if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            reason = answered(error.status)  # a gateway has that path, and that method
        raise NotDelivered(url.origin(), reason) from None
    except PublishError as error:
        if isinstance(error.__cause__, ClientError | TimeoutError):
            await check_gateway(url, error.__cause__)
        raise NotDelivered(url.origin(), f"did not publish it: {error}") from None


async def _send(session: ClientSession, url: URL, payload: str | bytes, tls: ssl.SSLContext | None) -> None:
    try:
        opening = session.ws_connect(url, max_msg_size=0, ssl=tls or True)
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            connection = await opening
    except WSServerHandshakeError as error:
        await check_scheme(url, error.status)
        raise
    except (ClientError, TimeoutError) as error:
        await check_gateway(url, error)
        raise
    async with connection as socket:
        if isinstance(payload, str):
            await socket.send_str(payload)
        else:
            await socket.send_bytes(payload)
        while True:
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if message.data == payload:
                    return
            elif message.type is WSMsgType.CLOSE:
                raise NotDelivered(url.origin(), f"closed with {message.data} {message.extra}".rstrip())
            else:
                raise NotDelivered(url.origin(), "broke the connection")
