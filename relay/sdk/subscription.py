"""One channel as a program reads it: it comes back after each break, and goes on where it was."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientError

from relay.errors import Disconnect, RelayError, comes_back
from relay.position import parse_position
from relay.sdk.backoff import Backoff
from relay.sdk.connection_failure import describe_failure
from relay.sdk.errors import ClientRefused, MessagesMissed, MessageTooBig
from relay.sdk.event_connection import EventConnection, StreamBroken
from relay.sdk.event_reader import Event
from relay.sdk.event_source import EventSource
from relay.sdk.notice import Missed, Notice, Watch
from relay.sdk.received_message import ReceivedMessage
from relay.sdk.refusal import Refusal, sentence
from relay.sdk.token_source import TokenSource

log: Final = logging.getLogger("relay.client")

_TOKEN_EXPIRED: Final = (Disconnect.TOKEN_EXPIRED.code, Disconnect.TOKEN_EXPIRED.reason)


class _ReadByOther(RelayError, RuntimeError):
    """A subscription is read twice at a time."""


class Subscription:
    """The messages of one channel, for `async for`; see `Client.subscribe`.

    The loop ends the subscription, by whatever way it is left. Within `async with` the block does, and there may be
    several loops in it, or `await anext(subscription)`, which may be cancelled: no message is lost by that.

    There is a task behind it only while a stream is being opened, which a cancelled wait leaves alone. What isn't read
    stays in the buffer of the connection.

    Args:
        source: where its events come from.
        tokens: with which it comes in.
        channel: legal name of the channel.
        backoff: how long it waits after failures.
        since: position after which it begins; None: with what is published from now on.
        history: with how many of the newest messages it begins instead.
        missed: called where messages may be missing, and again when it has raised or was cancelled; None:
            `MessagesMissed` is raised there.
        watch: called with each user that comes or goes, in the same way; None: the program doesn't want to know.

    Attributes:
        channel: name of the channel.
        position: after which the next message comes; None: not known yet, or the channel counts no messages.
    """

    def __init__(
        self,
        source: EventSource,
        tokens: TokenSource,
        channel: str,
        backoff: Backoff,
        *,
        since: str | None,
        history: int,
        missed: Missed | None,
        watch: Watch | None,
    ) -> None:
        self.channel = channel
        self.position = since
        self._source = source
        self._tokens = tokens
        self._gateway = source.address.http_origin
        self._backoff = backoff
        self._history = history
        self._missed = missed
        self._watch = watch
        self._connection: EventConnection | None = None
        self._opened_at = self._open_at = 0.0
        self._resume = since
        self._begun = False
        self._items: deque[ReceivedMessage | Notice] = deque()
        self._refused: ClientRefused | None = None
        # A token that the gateway no longer takes, and whether it has refused another one since.
        self._stale: tuple[str | None] | None = None
        self._renewed = False
        self._kept = self._closed = self._busy = False
        self._reading: asyncio.Timeout | None = None
        self._opening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Wait until the gateway has subscribed: what is published from then on is heard.

        Raises:
            ClientRefused: it refuses for good.
        """
        self._kept = True
        self._take_turn()
        try:
            while not self._begun and not self._closed:
                await self._advance()
        finally:
            self._busy = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncGenerator[ReceivedMessage]:
        own = True
        try:
            while True:
                try:
                    message = await self.__anext__()
                except StopAsyncIteration:
                    return
                except _ReadByOther:
                    own = False
                    raise
                yield message
        finally:
            if own and not self._kept:
                await self.aclose()

    async def __anext__(self) -> ReceivedMessage:
        """Return the next message.

        Raises:
            StopAsyncIteration: the subscription or its client was closed.
            ClientRefused: the gateway refuses for good.
            MessagesMissed: some may be missing here; the next call goes on behind them.
            MessageTooBig: a message is larger than the client's `max_message_bytes`.
        """
        self._take_turn()
        try:
            while not self._closed:
                if not self._items:
                    await self._advance()
                    continue
                item = self._items[0]
                if isinstance(item, Notice) and item.function is not None:
                    await item.tell()  # may raise or be cancelled: the notice stays until it has ended
                self._items.popleft()
                self.position = item.position or self.position
                if isinstance(item, ReceivedMessage):
                    return item
                if item.function is None:
                    raise MessagesMissed(self.channel, item.position)
            raise StopAsyncIteration
        finally:
            self._busy = False

    async def aclose(self) -> None:
        """End the subscription at once. A loop that waits for its next message ends, too."""
        self._shut()
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())
            self._reading = None

    def _take_turn(self) -> None:
        if self._busy:
            raise _ReadByOther("another loop already reads the subscription")
        self._busy = True

    async def _advance(self) -> None:
        """Wait for one step: the end of a pause, the begin of a stream, or data."""
        try:
            async with asyncio.timeout(None) as self._reading:
                if self._connection is not None:
                    await self._read(self._connection)
                else:
                    await self._open()
        except TimeoutError:
            if not self._closed:
                raise
        except (ClientRefused, MessageTooBig):
            self._shut()
            raise
        finally:
            self._reading = None

    async def _open(self) -> None:
        """Wait for a stream. When the wait is cancelled the attempt goes on, and the next wait is for the same one."""
        if self._refused is not None:
            raise self._refused
        if self._opening is None:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._open_at - loop.time())
            self._opening = loop.create_task(self._attempt())
        opening = self._opening
        await asyncio.wait([opening])
        self._opening = None
        if not (self._closed and opening.cancelled()):
            opening.result()

    async def _attempt(self) -> None:
        """Open a stream, or note when to try again."""
        if self._stale is not None:
            await self._tokens.renew(*self._stale)
            self._stale = None
        token = await self._tokens.get()
        try:
            opened = await self._source.open(self.channel, token, self._resume, self._history, bool(self._watch))
        except StreamBroken as error:
            self._wait(str(error))
        except (ClientError, OSError) as error:
            self._wait(describe_failure(error))
        else:
            if isinstance(opened, Refusal):
                self._refuse(opened, token)
            else:
                self._begin(opened)

    def _begin(self, connection: EventConnection) -> None:
        log.info("%s: listening", self._gateway)
        if self._begun and self._resume is None:
            self._items.append(Notice(self._missed, None))  # there may have been messages meanwhile
        self._connection, self._begun, self._renewed = connection, True, False
        self._opened_at = asyncio.get_running_loop().time()
        self._take(connection, connection.first)

    def _refuse(self, refusal: Refusal, token: str | None) -> None:
        if refusal.status == 401 and self._tokens.renewable and not self._renewed:
            self._stale, self._renewed = (token,), True
        elif refusal.for_now:
            self._wait(f"HTTP {refusal.status}: {refusal.reason}", refusal.retry_after_seconds)
        else:
            raise ClientRefused(self._gateway, refusal.status, refusal.reason)

    async def _read(self, connection: EventConnection) -> None:
        try:
            events = await connection.read()
        except StreamBroken as error:
            self._wait(str(error))
        else:
            self._take(connection, events)

    def _take(self, connection: EventConnection, events: list[Event]) -> None:
        for event in events:
            try:
                self._take_one(connection, event)
            except (ValueError, KeyError, TypeError, RecursionError):
                self._wait("it sends data that no relay sends")
                return

    def _take_one(self, connection: EventConnection, event: Event) -> None:
        if event.position is not None:
            parse_position(event.position)  # it is sent back as a header
        if (data := event.message) is not None:
            self._items.append(ReceivedMessage(self.channel, data, event.position))
        elif (notice := Notice.read(event, self._missed, self._watch)) is not None:
            self._items.append(notice)
        elif event.kind == "close":
            said = json.loads(event.data)
            self._end(connection, said["code"], sentence(said["reason"]))
        if event.position is not None:
            self._resume = event.position
            if not self._items:
                self.position = event.position

    def _end(self, connection: EventConnection, code: int, reason: str) -> None:
        """Note what to do after the gateway has ended the stream with a close code."""
        if (code, reason) == _TOKEN_EXPIRED and self._tokens.renewable:
            self._stale = (connection.token,)
        elif not comes_back(code):
            self._refused = ClientRefused(self._gateway, code, reason)
        self._wait(f"closed with {code} {reason}")

    def _wait(self, reason: str, retry_after_seconds: float = 0.0) -> None:
        """Give up the stream, and come back after a pause."""
        now = asyncio.get_running_loop().time()
        lasted = 0.0 if self._connection is None else now - self._opened_at
        self._drop_connection()
        self._renewed = False  # a token that was new before the pause may have expired since
        pause = self._backoff.pause(lasted_seconds=lasted, retry_after_seconds=retry_after_seconds)
        self._open_at = now + pause
        if self._refused is None and not self._closed:
            log.warning("%s: %s; listening again in %.1f s", self._gateway, reason, pause)

    def _shut(self) -> None:
        self._closed = True
        if self._opening is not None and not self._opening.cancel() and not self._opening.cancelled():
            self._opening.exception()  # retrieved, or asyncio would log it
        self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
