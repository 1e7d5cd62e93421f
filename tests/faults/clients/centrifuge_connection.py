"""A connection of the Centrifuge protocol in JSON: commands and their replies, pushes, pings."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.faults.clients.subscriber import ANSWER_SECONDS

Content = dict[str, Any]
Reply = Content | None
"""To a command; None: the connection has ended before it came."""

GRACE_SECONDS: Final = 10.0
"""Beyond the interval of pings, until the connection is taken for dead; as official clients do."""

QUICK: Final = frozenset({"connect", "subscribe", "unsubscribe"})
"""Commands without whose replies the connection is left."""


class Unexpected(AssertionError):
    """The relay has said what it may not say to such a client."""


class CentrifugeConnection:
    """One connection.

    Args:
        socket: whose handshake is done.
        pushed: called with the channel, the kind and the content of each push.

    Attributes:
        due: loop time at which it is to be left, unless something comes.
    """

    def __init__(self, socket: ClientConnection, pushed: Callable[[str, str, Content], None]) -> None:
        self._socket = socket
        self._pushed = pushed
        self._ids = itertools.count(1)
        self._lines: list[str] = []
        self._answers: dict[int, Callable[[Reply], None]] = {}
        # When replies must be there.
        self._quick: dict[int, float] = {}
        self._silence_seconds = GRACE_SECONDS
        self._pings = False
        self._read_at = _now()

    @property
    def due(self) -> float:
        return min([self._read_at + self._silence_seconds, *self._quick.values()])

    def expect_pings(self, seconds: float) -> None:
        """Take the connection for dead when no pings come, which are so far apart."""
        self._silence_seconds = seconds + GRACE_SECONDS
        self._pings = True

    def ask(self, kind: str, request: Content, answer: Callable[[Reply], None]) -> None:
        """Add a command to those that `flush` sends.

        Args:
            kind: of the request.
            request: its content.
            answer: called with the reply.
        """
        number = next(self._ids)
        self._lines.append(json.dumps({"id": number, kind: request}, separators=(",", ":")))
        self._answers[number] = answer
        if kind in QUICK:
            self._quick[number] = _now() + ANSWER_SECONDS

    async def flush(self) -> None:
        """Send all commands in one message.

        Raises:
            ConnectionClosed: the connection has ended.
        """
        if self._lines:
            lines, self._lines = self._lines, []
            await self._socket.send("\n".join(lines))

    async def publish(self, channel: str, data: object) -> Reply:
        """Publish, and return the reply."""
        answered = asyncio.get_running_loop().create_future()

        def answer(reply: Reply) -> None:
            if not answered.done():
                answered.set_result(reply)

        self.ask("publish", {"channel": channel, "data": data}, answer)
        try:
            await self.flush()
        except ConnectionClosed:
            return None
        found: Reply = await answered
        return found

    def take(self, payload: str | bytes) -> None:
        """Take what has come."""
        self._read_at = _now()
        if not isinstance(payload, str):
            raise Unexpected(f"binary: {payload!r:.80}")
        for line in payload.split("\n"):
            reply: Content = json.loads(line)
            if push := reply.get("push"):
                channel = push.pop("channel", "")
                ((kind, content),) = push.items()
                self._pushed(channel, kind, content)
            elif number := reply.get("id"):
                self._quick.pop(number, None)
                self._answers.pop(number)(reply)
            else:
                self._answer_ping(reply)

    def read_on(self) -> None:
        """Take note that nothing was read until now: what has come meanwhile is on its way."""
        self._read_at = _now()
        self._quick = {number: max(due, self._read_at + ANSWER_SECONDS) for number, due in self._quick.items()}

    def end(self) -> None:
        """Tell those that wait for replies that none will come."""
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer(None)

    def _answer_ping(self, ping: Content) -> None:
        if ping or not self._pings:
            raise Unexpected(f"no reply, no push and no ping: {ping!r:.80}")
        self._lines.append("{}")


def _now() -> float:
    return asyncio.get_running_loop().time()
