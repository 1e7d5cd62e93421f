"""A tail of a channel that keeps its messages: it reads events, and goes on where it was after each break."""

from __future__ import annotations

import json
import ssl
from typing import Final

import click
from aiohttp import ClientError, ClientSession
from yarl import URL

from relay.cli.tail import FIRST_DELAY_SECONDS, HANDSHAKE_SECONDS, PERMANENT_REFUSALS, GatewayRefused, Tail
from relay.cli.unreachable import answered, check_gateway
from relay.errors import comes_back
from relay.redaction import escape_controls
from relay.sdk.connection_failure import describe_failure
from relay.sdk.event_connection import EventConnection, StreamBroken
from relay.sdk.event_reader import Event
from relay.sdk.event_source import EventSource
from relay.sdk.gateway_address import GatewayAddress
from relay.sdk.refusal import Refusal

SILENCE_SECONDS: Final = 120.0
"""After so long without even a heartbeat the connection is made again: the gateway may be gone."""

BUFFER_BYTES: Final = 65_536
"""That wait for an output that is slow."""


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
        self._address = GatewayAddress.parse(str(url))
        self._history = history
        self._position = position

    async def _connect(self, session: ClientSession) -> tuple[str, float]:
        gateway = self._url.origin()
        source = EventSource(
            self._address,
            lambda: session,
            tls=self._tls,
            connect_seconds=HANDSHAKE_SECONDS,
            silence_seconds=SILENCE_SECONDS,
            buffer_bytes=BUFFER_BYTES,
            max_message_bytes=None,
        )
        try:
            opened = await source.open(self._address.channel or "", self._token, self._position, self._history)
        except (ClientError, TimeoutError) as error:
            await check_gateway(self._url, error)
            return f"{gateway} {describe_failure(error)}", 0.0
        except StreamBroken as error:
            return f"{gateway} broke off: {error}", 0.0
        if isinstance(opened, Refusal):
            return self._refused(gateway, opened)
        click.secho(f"relay: listening to {gateway}", dim=True, err=True)
        try:
            reason, code = await self._read(opened)
        finally:
            opened.close()
        if code is not None and not comes_back(code):
            raise GatewayRefused(gateway, f"{reason}, which means: stay away")
        return f"{gateway} {reason}", 0.0

    def _refused(self, gateway: URL, refusal: Refusal) -> tuple[str, float]:
        """Return why a gateway refuses now, and the seconds that it asks to wait; raise when it does for good."""
        reason = answered(refusal.status, self._token)
        if refusal.status in (400, 403):  # here its own words say more: about a position, or a history
            reason = f"answered HTTP {refusal.status}: {refusal.reason}"
        if refusal.status in PERMANENT_REFUSALS or refusal.status < 400:
            raise GatewayRefused(gateway, reason)
        return f"{gateway} {reason}", refusal.retry_after_seconds

    async def _read(self, stream: EventConnection) -> tuple[str, int | None]:
        """Print messages until there are enough or no more; return how the stream ended, and with which code."""
        events = stream.first
        while True:
            for event in events:
                self._position = event.position or self._position
                if (ending := self._take(event)) is not None:
                    return ending
            try:
                events = await stream.read()
            except StreamBroken:
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
