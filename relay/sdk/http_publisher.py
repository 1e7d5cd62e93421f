"""Messages that a client sends: one POST each."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
)
from yarl import URL

from relay.channel import check_channel
from relay.errors import BusUnavailable, DeliveryUnknown, PublishError
from relay.idempotency_key import check_idempotency_key
from relay.sdk.backoff import Backoff
from relay.sdk.connection_failure import describe_failure
from relay.sdk.errors import ClientRefused
from relay.sdk.gateway_address import GatewayAddress
from relay.sdk.refusal import Refusal
from relay.sdk.token_source import TokenSource, token_headers

TRIES: Final = 5
"""Of a message with a key."""

MAX_ANSWER_BYTES: Final = 65_536
"""A gateway answers with a hundred or two."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a message.

    Args:
        gateways: how many have clients of the channel.
        position: its own; None: the channel counts no messages.
    """

    gateways: int
    position: str | None


class HttpPublisher:
    """Publishes at one gateway.

    Args:
        address: of the gateway.
        session: returns the HTTP client.
        tokens: with which it comes in.
        tls: for https://; None: the authorities of the system are trusted.
        connect_seconds: until there is a connection.
        timeout_seconds: until there is an answer; for each try.
        longest_pause_seconds: between two tries.
    """

    def __init__(
        self,
        address: GatewayAddress,
        session: Callable[[], ClientSession],
        tokens: TokenSource,
        *,
        tls: ssl.SSLContext | None,
        connect_seconds: float,
        timeout_seconds: float,
        longest_pause_seconds: float,
    ) -> None:
        self._address = address
        self._session = session
        self._tokens = tokens
        self._tls = tls
        self._timeout = ClientTimeout(total=timeout_seconds, sock_connect=connect_seconds)
        self._longest_pause_seconds = longest_pause_seconds

    async def publish(self, channel: str, data: str | bytes, idempotency_key: str | None) -> Published:
        """Send a message; see `Client.publish`."""
        url = URL(self._address.endpoint("publish", check_channel(channel)), encoded=True)
        if isinstance(data, str):
            headers, body = {"Content-Type": "text/plain; charset=utf-8"}, data.encode()
        else:
            headers, body = {"Content-Type": "application/octet-stream"}, bytes(data)
        tries = 1
        if idempotency_key is not None:
            quoted = check_idempotency_key(idempotency_key).replace("\\", r"\\").replace('"', r"\"")
            headers["Idempotency-Key"] = f'"{quoted}"'
            tries = TRIES
        backoff = Backoff(self._longest_pause_seconds)
        while True:
            tries -= 1
            retry_after_seconds = 0.0
            try:
                answer = await self._send(url, headers, body)
                if isinstance(answer, Published):
                    return answer
                retry_after_seconds = answer.retry_after_seconds
                if not tries or not answer.for_now:
                    raise self._error(answer)
            except PublishError:
                if not tries:
                    raise
            await asyncio.sleep(backoff.pause(retry_after_seconds=retry_after_seconds))

    def _error(self, refusal: Refusal) -> ClientRefused | PublishError:
        """Return what a refusal means for the message."""
        if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return BusUnavailable(refusal.reason)
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return DeliveryUnknown(f"HTTP {refusal.status}: {refusal.reason}")
        return ClientRefused(self._address.http_origin, refusal.status, refusal.reason)

    async def _send(self, url: URL, headers: dict[str, str], body: bytes) -> Published | Refusal:
        """Send a message once; when its token is refused, once more with another one."""
        token = await self._tokens.get()
        answer = await self._post(url, headers | token_headers(token), body)
        if isinstance(answer, Refusal) and answer.status == HTTPStatus.UNAUTHORIZED and self._tokens.renewable:
            await self._tokens.renew(token)
            answer = await self._post(url, headers | token_headers(await self._tokens.get()), body)
        return answer

    async def _post(self, url: URL, headers: dict[str, str], body: bytes) -> Published | Refusal:
        # In pieces: all of a large body at once would hold up the event loop.
        pieces = BytesIO(body)
        try:
            async with self._session().post(
                url, headers=headers, data=pieces, ssl=self._tls or True, timeout=self._timeout, allow_redirects=False
            ) as response:
                if response.status != HTTPStatus.OK or response.content_type != "application/json":
                    return await Refusal.read(response)
                return _read(await _body(response))
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            raise BusUnavailable(f"{self._address.http_origin} {describe_failure(error)}") from error
        except (ClientError, OSError) as error:
            raise DeliveryUnknown(f"{self._address.http_origin} {describe_failure(error)}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DeliveryUnknown(f"{self._address.http_origin} answers what no relay does") from None


async def _body(response: ClientResponse) -> bytes:
    """Return the body of an answer; raises `ValueError` for one that has too much."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("too much")
    return bytes(body)


def _read(body: bytes) -> Published:
    """Return what an answer says; raises `ValueError`, `KeyError`, `TypeError` or `RecursionError` for another one."""
    answer = json.loads(body)
    gateways, position = answer["gateways"], answer.get("position")
    if not isinstance(gateways, int) or not isinstance(position, str | None):
        raise TypeError
    return Published(gateways, position)
