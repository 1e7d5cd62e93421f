"""A client of server-sent events that resumes."""

from __future__ import annotations

import time

import msgspec

from relay.loadtest.generator.event_parser import EventParser, StreamEvent
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.http_connection import HttpConnection
from relay.loadtest.generator.poll_answer import PollClosed, decode_base64
from relay.loadtest.generator.resuming_client import SILENCE_SECONDS, WITHOUT_A_WORD, ResumingClient
from relay.loadtest.result.faults import Fault

_clock = time.monotonic_ns


class EventClient(ResumingClient):
    """A client of server-sent events, which comes back with `Last-Event-ID`."""

    async def _listen(self, connection: HttpConnection) -> str | None:
        headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
        resumed = bool(self.position)
        if resumed:
            headers.append(("Last-Event-ID", self.position))
        await self._ask(connection, "", headers)
        if resumed:
            self._join(resumed=True)
        parser, reason = EventParser(), WITHOUT_A_WORD
        async for piece in connection.pieces():
            now = _clock()
            for event in parser.feed(piece):
                reason = self._event(event, now) or reason
            if parser.position:
                self._move(parser.position)
                self._join(resumed)
            if self._live:
                self._alive(SILENCE_SECONDS)
        return reason

    def _event(self, event: StreamEvent, now: int) -> str:
        """Take an event; return why the server ends the stream, empty when it doesn't."""
        match event.kind:
            case b"close":
                try:
                    said = msgspec.json.decode(event.data, type=PollClosed)
                except msgspec.DecodeError:
                    raise RemoteProtocolError("an event close that can't be read") from None
                return f"{said.code} {said.reason}".rstrip()
            case b"missed":
                self._miss(now)
            case b"message" | b"text" | b"binary":
                # The first block of a stream has the position to begin with: no message comes before.
                if event.position:
                    self._join(bool(self.position))
                payload = event.data if event.kind == b"message" else decode_base64(event.data)
                if self._take(payload, now) and not event.own_position:
                    self._fault(Fault.UNEXPECTED, now, "an event without a position")
            case kind:
                self._fault(Fault.UNEXPECTED, now, f"an event {kind[:40].decode(errors='replace')!r}")
        return ""
