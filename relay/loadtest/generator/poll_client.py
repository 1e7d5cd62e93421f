"""A client of long polls that resumes."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote

from relay.loadtest.generator.http_connection import HttpConnection
from relay.loadtest.generator.poll_answer import decode_answer
from relay.loadtest.generator.resuming_client import ResumingClient

WAIT_SECONDS: Final = 20
"""How long a poll waits for a message."""

_clock = time.monotonic_ns


class PollClient(ResumingClient):
    """A client of long polls, which comes back with its cursor; each poll may be answered by another server."""

    async def _listen(self, connection: HttpConnection) -> str | None:
        while True:
            resumed = bool(self.position)
            # The first answer of a session comes at once: it shows that the client is back.
            query = f"?wait={WAIT_SECONDS if self._live else 0}"
            if resumed:
                query += f"&cursor={quote(self.position, safe=':')}"
            await self._ask(connection, query, ())
            answer = decode_answer(await connection.whole())
            now = _clock()
            self._join(resumed)
            if answer.missed:
                self._miss(now)
            for message in answer.messages:
                self._take(message.payload, now)
            self._move(answer.cursor)
            self._alive(WAIT_SECONDS + self._timeout)
            if answer.closed is not None:
                return f"{answer.closed.code} {answer.closed.reason}".rstrip()
            if not connection.reusable:
                return None
