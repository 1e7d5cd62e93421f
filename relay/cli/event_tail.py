"""A tail of a channel that keeps its messages: it reads events, and goes on where it was after each break."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Final

import click
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from relay.cli.tail import FIRST_DELAY_SECONDS, HANDSHAKE_SECONDS, PERMANENT_REFUSALS, GatewayRefused, Tail
from relay.cli.unreachable import answered, check_gateway, unreachable
from relay.errors import comes_back
from relay.redaction import escape_controls
from relay.sdk.event_reader import Event, EventReader

SILENCE_SECONDS: Final = 120.0
"""After so long without even a heartbeat the connection is made again: the gateway may be gone."""

SENTENCE_BYTES: Final = 500


class EventTail(Tail):
    """Prints the messages of one channel, also those of before and of the time between two connections.

    Args:
        url: of the channel's events at a gateway.
        count: messages after which it ends; None: never.
        token: key or token to come in with; None: none.
        tls: for https://; None: the authorities of the system are trusted.
        history: how many of the newest messages it begins with.
        position: after which it begins; None: with the history.
        first_delay_seconds: see `Tail`.
    """

    def __init__(
        self,
        url: URL,
        count: int | None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        *,
        history: int = 0,
        position: str | None = None,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
    ) -> None:
        super().__init__(url, count, token, tls, first_delay_seconds=first_delay_seconds)
        self._history = history
        self._position = position

    async def _connect(self, session: ClientSession) -> tuple[str, float]:
        gateway = self._url.origin()
        headers = {} if self._position is None else {"Last-Event-ID": self._position}
        url = self._url
        if self._position is None and self._history:
            url = URL(f"{url}?history={self._history}", encoded=True)
        timeout = ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
        try:
            opening = session.get(url, headers=headers, ssl=self._tls or True, timeout=timeout, allow_redirects=False)
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                response = await opening
        except (ClientError, TimeoutError) as error:
            await check_gateway(self._url, error)
            return f"{gateway} {'did not answer' if isinstance(error, TimeoutError) else unreachable(error)}", 0.0
        async with response:
            if response.status != 200:
                return await self._refused(gateway, response)
            click.secho(f"relay: listening to {gateway}", dim=True, err=True)
            reason, code = await self._read(response)
            if code is not None and not comes_back(code):
                raise GatewayRefused(gateway, f"{reason}, which means: stay away")
            return f"{gateway} {reason}", 0.0

    async def _refused(self, gateway: URL, response: ClientResponse) -> tuple[str, float]:
        """Return why a gateway refuses now, and the seconds that it asks to wait; raise when it does for good."""
        reason = answered(response.status, self._token)
        if response.status in (400, 403):  # here its own words say more: about a position, or a history
            sentence = (await response.content.read(SENTENCE_BYTES)).decode(errors="replace")
            reason = f"answered HTTP {response.status}: {escape_controls(sentence.strip())}"
        if response.status in PERMANENT_REFUSALS or response.status < 400:
            raise GatewayRefused(gateway, reason)
        wait = response.headers.get("Retry-After", "")
        return f"{gateway} {reason}", float(wait) if wait.isdecimal() else 0.0

    async def _read(self, response: ClientResponse) -> tuple[str, int | None]:
        """Print messages until there are enough or no more; return how the stream ended, and with which code."""
        reader = EventReader()
        try:
            async for piece in response.content.iter_any():
                events = reader.feed(piece)
                self._position = reader.position or self._position
                for event in events:
                    if (ending := self._take(event)) is not None:
                        return ending
        except (ClientError, TimeoutError):
            pass  # the connection broke, or nothing came for too long
        return "broke the connection", None

    def _take(self, event: Event) -> tuple[str, int | None] | None:
        """Print what an event says; return how the stream ends with it, and with which code; None: it goes on."""
        message = event.message
        if message is not None:
            return ("sent enough", None) if self._show(message) else None
        if event.kind == "missed":
            click.secho("relay: messages may be missing here", fg="yellow", err=True)
        elif event.kind == "close":
            said = json.loads(event.data)
            return f"closed with {said['code']} {escape_controls(said['reason'])}".rstrip(), said["code"]
        return None
