"""A live tail of a channel: a WebSocket client that prints messages, and reconnects."""

from __future__ import annotations

import asyncio
import io
import os
import random
import ssl
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import click
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from yarl import URL

from relay.cli.client_token import token_headers
from relay.cli.unreachable import GatewayError, answered, check_gateway, check_scheme, describe_absence
from relay.errors import comes_back
from relay.redaction import JOINERS, escape_controls
from relay.sdk.connection_failure import describe_failure
from relay.sdk.refusal import read_retry_after

FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 15.0
STEADY_SECONDS: Final = 10.0
"""After a connection that lasted so long, delays start again from the first one."""

HANDSHAKE_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 20.0
SHOWN_BYTES: Final = 32

PERMANENT_REFUSALS: Final = (400, 401, 403, 404, 405, 421, 426)


class GatewayRefused(GatewayError):
    """A gateway refuses a client for good: trying again won't help."""


class Tail:
    """Prints the messages of one channel.

    Args:
        url: of the channel at a gateway.
        count: messages after which it ends; None: never.
        token: key or token to come in with; None: none.
        tls: for wss://; None: the authorities of the system are trusted.
        first_delay_seconds: before the first attempt to reconnect; see `backoff`.
        steady_seconds: how long a connection lasts after which delays start again from the first one.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        url: URL,
        count: int | None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        *,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
        steady_seconds: float = STEADY_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._left = count
        self._token = token
        self._tls = tls
        self._first_delay_seconds = first_delay_seconds
        self._steady_seconds = steady_seconds
        self._sleep = sleep
        self._failures = 0

    async def run(self) -> None:
        """Print messages until there were enough, or the reader of the output is gone.

        Raises:
            GatewayError: trying again won't help.
        """
        tail = asyncio.create_task(self._follow())
        unread = asyncio.create_task(_output_unread())
        try:
            await asyncio.wait((tail, unread), return_when=asyncio.FIRST_COMPLETED)
            if tail.done():
                await tail
        except BrokenPipeError:
            pass
        finally:
            tail.cancel()
            unread.cancel()
            await asyncio.gather(tail, unread, return_exceptions=True)
            _silence_closed_output()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        async with ClientSession(headers=token_headers(self._token)) as session:
            while True:
                started = loop.time()
                reason, retry_after = await self._connect(session)
                if self._left == 0:
                    return
                self._failures = 1 if loop.time() - started > self._steady_seconds else self._failures + 1
                delay = max(retry_after, backoff(self._failures, self._first_delay_seconds))
                click.secho(f"relay: {reason}; trying again in {delay:.1f} s", fg="yellow", err=True)
                await self._sleep(delay)

    async def _connect(self, session: ClientSession) -> tuple[str, float]:
        """Print one connection's messages; return why it ended, and the seconds that the gateway asks to wait."""
        gateway = self._url.origin()
        try:
            opening = session.ws_connect(self._url, max_msg_size=0, heartbeat=HEARTBEAT_SECONDS, ssl=self._tls or True)
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                connection = await opening
        except WSServerHandshakeError as error:
            await check_scheme(self._url, error.status)
            if error.status in PERMANENT_REFUSALS or error.status < 400:
                raise GatewayRefused(gateway, answered(error.status, self._token)) from None
            wait = error.headers.get("Retry-After", "") if error.headers else ""
            return f"{gateway} {answered(error.status)}", read_retry_after(wait)
        except (ClientError, TimeoutError) as error:
            await check_gateway(self._url, error)
            return f"{gateway} {self._describe(error)}", 0.0
        async with connection as socket:
            click.secho(f"relay: listening to {gateway}", dim=True, err=True)
            reason, code = await self._print(socket)
            if code is not None and not comes_back(code):
                raise GatewayRefused(gateway, f"{reason}, which means: stay away")
            return f"{gateway} {reason}", 0.0

    def _describe(self, error: ClientError | TimeoutError) -> str:
        """Return why there is no connection; and, once, what to do where nothing listens."""
        return describe_failure(error) if self._failures else describe_absence(error)

    async def _print(self, socket: ClientWebSocketResponse) -> tuple[str, int | None]:
        """Print messages until there are enough or no more; return how the connection ended, and its close code."""
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.CLOSE:
                return f"closed with {message.data} {escape_controls(message.extra or '')}".rstrip(), message.data
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return "broke the connection", None
            if self._show(message.data):
                return "sent enough", None

    def _show(self, payload: str | bytes) -> bool:
        """Print a message; return whether there were enough."""
        click.echo(line(payload))
        if self._left is not None:
            self._left -= 1
        return self._left == 0


def line(payload: str | bytes) -> str:
    """Return a message as one line of a terminal."""
    if isinstance(payload, str):
        return escape_controls(payload, keep=JOINERS)
    size = "1 byte" if len(payload) == 1 else f"{len(payload)} bytes"
    more = "..." if len(payload) > SHOWN_BYTES else ""
    return click.style(f"binary, {size}: {payload[:SHOWN_BYTES].hex()}{more}", dim=True)


def backoff(failures: int, first_seconds: float = FIRST_DELAY_SECONDS) -> float:
    """Return the seconds to wait after some failures in a row, with jitter: clients must not reconnect all at once."""
    longest = min(LONGEST_DELAY_SECONDS, first_seconds * 2.0 ** min(failures - 1, 16))
    return random.uniform(longest / 2, longest)  # noqa: S311  # spreads load, guards nothing


async def _output_unread() -> None:
    """Return when standard output is a pipe whose reader is gone; otherwise never.

    A write would fail, too, but on a quiet channel there may never be one.
    """
    loop, gone = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        loop.remove_reader(output)  # it stays readable, and would be told again and again
        gone.set()

    with suppress(io.UnsupportedOperation, NotImplementedError):
        output = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(output).st_mode):
            # The writing end has nothing to read: it becomes "readable" when its reader is gone.
            loop.add_reader(output, end)
    await gone.wait()


def _silence_closed_output() -> None:
    """Keep the interpreter from reporting an error when it flushes an output whose reader is gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
