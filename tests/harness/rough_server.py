"""Broadcast servers that do nothing wrong, but that try those who talk to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.harness.broadcast_server import BroadcastServer, Message
from tests.harness.raw_websocket import BINARY, CONTINUATION, PING, encode_frame
from tests.harness.server_session import ServerSession

_LARGEST_CONTROL_PAYLOAD = 125


class LateServer(BroadcastServer):
    """Passes each message on after a while.

    Args:
        seconds: the while.
        options: see `BroadcastServer`.

    Attributes:
        held: how long each message was held, in seconds; on a busy machine some are held longer than they should be.
    """

    def __init__(self, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.held: list[float] = []
        self._seconds = seconds

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        loop = asyncio.get_running_loop()
        came = loop.time()

        def late() -> None:
            self.held.append(loop.time() - came)
            super(LateServer, self).pass_on(message, channel, receivers)

        loop.call_later(self._seconds, late)


class StallingServer(BroadcastServer):
    """Stands still once, as a process does that swaps or collects garbage: reads nothing, writes nothing; then goes on.

    Args:
        at: number of the message before which it does.
        seconds: how long.
        options: see `BroadcastServer`.

    Attributes:
        stood_still: for how many seconds it really did.
    """

    def __init__(self, at: int, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.stood_still = 0.0
        self._began = 0.0
        self._at = at
        self._seconds = seconds
        self._held: list[tuple[Message, str, Iterable[ServerSession]]] | None = None

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        if self.messages == self._at:
            self._held = []
            for session in self.sessions:
                session.stop_reading()
            loop = asyncio.get_running_loop()
            self._began = loop.time()
            loop.call_later(self._seconds, self._go_on)
        if self._held is None:
            super().pass_on(message, channel, receivers)
        else:
            self._held.append((message, channel, receivers))

    def _go_on(self) -> None:
        self.stood_still = asyncio.get_running_loop().time() - self._began
        held, self._held = self._held or [], None
        for message, channel, receivers in held:
            super().pass_on(message, channel, receivers)
        for session in self.sessions:
            session.resume_reading()


class FragmentingServer(BroadcastServer):
    """Sends each message in three frames, with a ping between each two.

    Attributes:
        pings: payloads of the pings; of every length from 0 to 125.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pings: list[bytes] = []

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        self.deliveries[receiver] += 1
        third = len(message.payload) // 3
        parts = message.payload[:third], message.payload[third : 2 * third], message.payload[2 * third :]
        for number, part in enumerate(parts):
            if number:
                receiver.write(encode_frame(PING, self._next_ping(), masked=False))
            opcode = CONTINUATION if number else message.opcode
            receiver.write(encode_frame(opcode, part, fin=number == 2, masked=False))

    def _next_ping(self) -> bytes:
        count = len(self.pings)
        size = count % (_LARGEST_CONTROL_PAYLOAD + 1)
        self.pings.append((b"%0125d" % count)[_LARGEST_CONTROL_PAYLOAD - size :])
        return self.pings[-1]


class DeafServer(BroadcastServer):
    """Reads no more from each client that has published so many messages; it still writes.

    Args:
        after: how many it takes from each; a few more may come in the same read.
        options: see `BroadcastServer`.
    """

    def __init__(self, after: int, **options: Any) -> None:
        super().__init__(**options)
        self._after = after

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        super().pass_on(message, channel, receivers)
        if message.number + 1 == self._after:
            message.sender.stop_reading()


class BinaryServer(BroadcastServer):
    """Sends every message as a binary one, whatever it came as."""

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        super().deliver(receiver, Message(message.sender, message.number, message.payload, BINARY))
