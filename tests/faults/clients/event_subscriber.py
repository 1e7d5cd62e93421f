"""A reader of server-sent events: it comes back with the position of its last event, as a browser does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.faults.clients.small_socket import reach
from tests.faults.clients.subscriber import ANSWER_SECONDS, Subscriber
from tests.faults.load import has_positions
from tests.faults.recorder import Recorder
from tests.faults.stack.place import PING_SECONDS, Place
from tests.harness.event_source import Event, EventParser
from tests.harness.http_response import parse_head

SILENCE_SECONDS: Final = 3 * PING_SECONDS
"""After which it takes its connection for dead."""

CHUNK_BYTES: Final = 65536


class EventSubscriber(Subscriber):
    """Listens with an event stream."""

    kind = "events"

    def __init__(
        self,
        name: str,
        channel: str,
        places: Sequence[Place],
        recorder: Recorder,
        random: Random,
        *,
        user: str = "",
    ) -> None:
        super().__init__(name, channel, places, recorder, random, user=user)
        self._position = ""

    async def _listen(self, place: Place) -> None:
        connected = await reach(place.door.port, ANSWER_SECONDS)
        reader, writer = await asyncio.open_connection(sock=connected, limit=CHUNK_BYTES)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                last = [f"Last-Event-ID: {self._position}"] if self._position else []
                lines = [f"GET {self._path('/sse')} HTTP/1.1", "Host: 127.0.0.1", *last, "", ""]
                writer.write("\r\n".join(lines).encode())
                status, _ = parse_head(await reader.readuntil(b"\r\n\r\n"))
            if status == 200:
                await self._read(place, reader)
        except asyncio.LimitOverrunError as error:
            raise EOFError from error
        finally:
            writer.transport.abort()

    async def _read(self, place: Place, reader: asyncio.StreamReader) -> None:
        """Read until the stream ends."""
        parser = _Parser()
        if not has_positions(self.channel):
            self._begin(place)
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await reader.read(CHUNK_BYTES)
            if not chunk:
                break
            events = parser.feed(chunk)
            if not self.listening and parser.first_id:
                events = self._begin_at(place, parser.first_id, events)
            for event in events:
                self._take(event)
            if not self.reading.is_set():
                await self.reading.wait()
        self._end(None)

    def _begin_at(self, place: Place, position: str, events: list[Event]) -> list[Event]:
        """Begin the session; return the events that are left."""
        since = self._position or None
        # One that is told behind where it begins has gone on from there.
        refused = since is not None and events[:1] and (events[0].kind, events[0].last_id) == ("missed", position)
        recovered = None if since is None else not refused
        self._begin(place, since=since, recovered=recovered, position=position)
        self._position = position
        return events[1:] if refused else events

    def _take(self, event: Event) -> None:
        # An event without an id of its own has that of the one before: such a message has no position.
        position = event.last_id if event.last_id != self._position else None
        self._position = event.last_id or self._position
        if event.kind == "close":
            self._end(json.loads(event.data)["code"])
        elif event.kind == "missed":
            self._missed(json.loads(event.data)["position"])
        else:
            self._receive(event.payload, position or None)


class _Parser(EventParser):
    """Remembers the first position of a stream, which comes before its events.

    Attributes:
        first_id: that position; empty: none has come.
    """

    first_id = ""

    def _dispatch(self) -> Event | None:
        event = super()._dispatch()
        self.first_id = self.first_id or self.last_id
        return event
