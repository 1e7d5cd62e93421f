"""A WebSocket client that prints what it receives and never gives up."""

from __future__ import annotations

import asyncio
import io
import os
import random
import stat
import sys
from asyncio import sleep
from contextlib import suppress
from typing import Final

import click
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from yarl import URL

from relay.cli.unreachable import NoGateway, answered, check_gateway, unreachable
from relay.errors import comes_back
from relay.redaction import JOINERS, escape_controls

FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 15.0
STEADY_SECONDS: Final = 10.0
"""A connection that lasted so long was a good one: after it, waiting starts again from the first delay."""

HANDSHAKE_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 20.0
SHOWN_BYTES: Final = 32

_FINAL_ANSWERS = (400, 401, 403, 404, 405, 421, 426)


class Refused(Exception):
    """The gateway will not serve this channel, however often one asks."""


class Tail:
    """Prints the messages of one channel.

    Args:
        url: of the channel at a gateway.
        count: messages after which it ends; None: never.
    """

    def __init__(self, url: URL, count: int | None) -> None:
        self._url = url
        self._left = count
        self._failures = 0

    async def run(self) -> None:
        """Print until enough was printed or nobody reads the output any more.

        Raises:
            Refused: trying again would not help.
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
        async with ClientSession() as session:
            while True:
                started = loop.time()
                reason, retry_after = await self._connect(session)
                if self._left == 0:
                    return
                self._failures = 1 if loop.time() - started > STEADY_SECONDS else self._failures + 1
                delay = max(retry_after, backoff(self._failures))
                click.secho(f"relay: {reason}; trying again in {delay:.1f} s", fg="yellow", err=True)
                await sleep(delay)

    async def _connect(self, session: ClientSession) -> tuple[str, float]:
        """Print one connection's messages; return why it ended, and the seconds that the gateway asks to wait."""
        place = self._url.origin()
        try:
            opening = session.ws_connect(self._url, max_msg_size=0, heartbeat=HEARTBEAT_SECONDS)
            connection = await asyncio.wait_for(opening, HANDSHAKE_SECONDS)
        except WSServerHandshakeError as error:
            if error.status in _FINAL_ANSWERS or error.status < 400:
                raise Refused(f"{place} {answered(error.status)}") from None
            wait = error.headers.get("Retry-After", "") if error.headers else ""
            return f"{place} {answered(error.status)}", float(wait) if wait.isdecimal() else 0.0
        except (ClientError, TimeoutError) as error:
            try:
                await check_gateway(self._url, error)
            except NoGateway as found:
                raise Refused(str(found)) from None
            return f"{place} {'did not answer' if isinstance(error, TimeoutError) else unreachable(error)}", 0.0
        async with connection as socket:
            click.secho(f"relay: listening to {place}", dim=True, err=True)
            reason, code = await self._print(socket)
            if code is not None and not comes_back(code):
                raise Refused(f"{place} {reason}, which means: stay away")
            return f"{place} {reason}", 0.0

    async def _print(self, socket: ClientWebSocketResponse) -> tuple[str, int | None]:
        """Print messages until there are enough or no more; return how the connection ended, and its close code."""
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.CLOSE:
                return f"closed with {message.data} {escape_controls(message.extra or '')}".rstrip(), message.data
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return "broke the connection", None
            click.echo(line(message.data))
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    return "sent enough", None


def line(payload: str | bytes) -> str:
    """Return a message as one line of a terminal."""
    if isinstance(payload, str):
        return escape_controls(payload, keep=JOINERS)
    more = "..." if len(payload) > SHOWN_BYTES else ""
    return click.style(f"binary, {len(payload)} bytes: {payload[:SHOWN_BYTES].hex()}{more}", dim=True)


def backoff(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row, with jitter: clients must not come back together."""
    longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 16))
    return random.uniform(longest / 2, longest)


async def _output_unread() -> None:
    """Return when standard output is a pipe whose reader has gone; otherwise never.

    A write would tell too, but on a quiet channel it may never come.
    """
    gone = asyncio.Event()
    with suppress(io.UnsupportedOperation, NotImplementedError):
        output = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(output).st_mode):
            # Nothing can be read from the writing end: "readable" means that an error waits there.
            asyncio.get_running_loop().add_reader(output, gone.set)
    await gone.wait()


def _silence_closed_output() -> None:
    """Keep the interpreter from complaining when it flushes an output that nobody reads."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
