"""A client that publishes numbered messages at a steady pace, and comes back when it was closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.harness.history import Label, labelled
from tests.harness.websocket_client import WebSocketClient

RETRY_SECONDS = 0.05


@dataclass(slots=True)
class Session:
    """One connection of a publisher; its messages are labelled with the session's name.

    Args:
        name: publisher and number of the connection.
        sent_at: monotonic time at which each message was handed to the socket; a last one may not have left.
        ended: close code and reason that the relay gave; None when it didn't end the connection.
    """

    name: str
    sent_at: list[float] = field(default_factory=list)
    ended: tuple[int | None, str | None] | None = None


class NumberedPublisher:
    """Publishes in the background from start to stop. An async context manager.

    Args:
        url: address of a gateway and a channel, or what returns it for each connection.
        name: first part of the labels.
        per_second: messages per second.
        size: bytes of each message; small ones are filled up.

    Attributes:
        sessions: all connections so far, the current one last.
    """

    def __init__(self, url: str | Callable[[], str], name: str, per_second: float = 200.0, size: int = 0) -> None:
        self._url = url
        self._name = name
        self._interval = 1 / per_second
        self._size = size
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.sessions: list[Session] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._publish())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        elif self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def sent(self) -> dict[str, int]:
        """How many messages each session sent."""
        return {session.name: len(session.sent_at) for session in self.sessions}

    @property
    def endings(self) -> list[tuple[int | None, str | None]]:
        """How the relay ended sessions."""
        return [session.ended for session in self.sessions if session.ended is not None]

    def sent_at(self, label: Label) -> float:
        """Return when a message was sent."""
        session = next(session for session in self.sessions if session.name == label.publisher)
        return session.sent_at[label.number]

    async def stop(self) -> None:
        """Send no more, and return when the relay has read everything."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _publish(self) -> None:
        while not self._stopping.is_set():
            try:
                client = await WebSocketClient.connect(self._url() if callable(self._url) else self._url)
            except (InvalidHandshake, OSError, EOFError):
                await self._pause(RETRY_SECONDS)
                continue
            session = Session(f"{self._name}.{len(self.sessions)}")
            self.sessions.append(session)
            try:
                await self._use(client, session)
            except ConnectionClosed:
                session.ended = await client.ended()
                await self._pause(RETRY_SECONDS)
            finally:
                await client.abort()

    async def _use(self, client: WebSocketClient, session: Session) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            session.sent_at.append(time.monotonic())
            await client.send(labelled(session.name, len(session.sent_at) - 1, self._size))
            due = max(due + self._interval, time.monotonic() - 0.1)
            await self._pause(due - time.monotonic())
        await client.flushed()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._stopping.wait()
