"""Where the events of channels come from: a gateway's `/sse`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from relay.sdk.event_connection import EventConnection
from relay.sdk.gateway_address import GatewayAddress
from relay.sdk.refusal import Refusal
from relay.sdk.token_source import token_headers

_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # what compresses a stream on the way collects it, too
    "Cache-Control": "no-store",
}


class EventSource:
    """Opens streams at one gateway.

    Args:
        address: of the gateway.
        session: returns the HTTP client.
        tls: for https://; None: the authorities of the system are trusted.
        connect_seconds: until a stream has begun.
        silence_seconds: after so long without even a heartbeat a stream counts as broken.
        buffer_bytes: of a stream, that may wait for a subscriber.
        max_message_bytes: largest message; None: of any size.
    """

    def __init__(
        self,
        address: GatewayAddress,
        session: Callable[[], ClientSession],
        *,
        tls: ssl.SSLContext | None,
        connect_seconds: float,
        silence_seconds: float,
        buffer_bytes: int,
        max_message_bytes: int | None,
    ) -> None:
        self.address = address
        self._session = session
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._buffer_bytes = buffer_bytes
        self._max_message_bytes = max_message_bytes

    async def open(
        self, channel: str, token: str | None, position: str | None, history: int, watch: bool = False
    ) -> EventConnection | Refusal:
        """Ask for a stream, and wait until it has begun; or return why there is none.

        Args:
            channel: legal name of a channel.
            token: to come in with.
            position: after which it goes on; None: it begins anew.
            history: with how many of the newest messages it begins then.
            watch: whether it tells who comes and who goes, too.

        Raises:
            ClientError, OSError, StreamBroken: the gateway can't be reached, or doesn't answer.
            TimeoutError: it took too long.
        """
        headers = {**_HEADERS, **token_headers(token)}
        asked = ["join_leave=1"] if watch else []
        if position is not None:
            headers["Last-Event-ID"] = position
        elif history:
            asked.append(f"history={history}")
        url = self.address.endpoint("sse", channel) + ("?" + "&".join(asked) if asked else "")
        async with asyncio.timeout(self._connect_seconds):
            response = await self._session().get(
                URL(url, encoded=True),
                headers=headers,
                ssl=self._tls or True,
                timeout=ClientTimeout(total=None, sock_read=self._silence_seconds),
                read_bufsize=max(1, self._buffer_bytes // 2),  # it stops reading at twice as much
                allow_redirects=False,
            )
            try:
                if response.status != HTTPStatus.OK or response.content_type != "text/event-stream":
                    refusal = await Refusal.read(response)
                    response.close()
                    return refusal
                connection = EventConnection(response, token, self._max_message_bytes)
                await connection.begin()
                return connection
            except BaseException:
                response.close()
                raise
