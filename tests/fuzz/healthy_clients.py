"""Clients beside the hostile ones: two that talk to each other, and a listener of each channel that is attacked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Final

from tests.fuzz.grammar.http import CHANNELS
from tests.fuzz.grammar.websocket import KEY, frame
from tests.fuzz.memory_transport import MemoryTransport
from tests.fuzz.outcome import Publication
from tests.fuzz.replies import Frame, InvalidReply, read_frames

Connect = Callable[[], MemoryTransport]

_END_OF_HEAD: Final = b"\r\n\r\n"


class HealthyClient:
    """A WebSocket that does all as it should.

    Args:
        connect: opens a connection.
        channel: that it is subscribed to.
        credential: in the query.
    """

    def __init__(self, connect: Connect, channel: str, credential: str) -> None:
        self._transport = connect()
        lines = [f"GET /ws/{channel}?{credential} HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", "", ""]
        self._transport.send("\r\n".join(lines).encode())
        self._welcomed = False
        self.channel = channel

    def send(self, text: bytes) -> None:
        """Send a message."""
        self._transport.send(frame(1, text))

    def heard(self) -> list[Frame]:
        """Return the messages that have come since the last call, and answer pings.

        Raises:
            InvalidReply: what has come is no valid frame, or the end of the connection.
        """
        transport = self._transport
        said = bytes(transport.written)
        if said:
            transport.written.clear()
        if not self._welcomed and said:
            head, _, said = said.partition(_END_OF_HEAD)
            if not head.startswith(b"HTTP/1.1 101 "):
                raise InvalidReply("a healthy client is refused", head)
            self._welcomed = True
        if transport.lost or transport.is_closing():
            raise InvalidReply("a healthy client is closed", said)
        if b"\x89\x00" in said:
            transport.send(frame(10, b""))
        return read_frames(said)


class HealthyClients:
    """All of them.

    Args:
        connect: opens a connection.
        credential: theirs, in the query.
    """

    def __init__(self, connect: Connect, credential: str) -> None:
        channel = f"healthy-{secrets.token_hex(8)}"
        self._speaker = HealthyClient(connect, channel, credential)
        self._listener = HealthyClient(connect, channel, credential)
        # None of the last channel: with its first client it is new to the bus.
        self._witnesses = [HealthyClient(connect, name, credential) for name in CHANNELS[:-1]]
        self._number = 0
        self._missing: list[bytes] = []

    def __len__(self) -> int:
        """Return how many they are."""
        return 2 + len(self._witnesses)

    def begin(self) -> None:
        """Take in what each of them is welcomed with."""
        for client in (self._speaker, self._listener, *self._witnesses):
            client.heard()

    def speak(self) -> None:
        """Send a message that the listener must get."""
        self._number += 1
        text = b"message %d" % self._number
        self._missing.append(text)
        self._speaker.send(text)

    def check(self) -> list[Publication]:
        """Return what the attacked channels have carried since the last call.

        Raises:
            InvalidReply: a message between the healthy clients is missing, or something came that they can't read.
        """
        if echoed := self._speaker.heard():
            raise InvalidReply(f"a healthy client that only speaks heard {echoed[:3]!r:.200}", b"")
        heard = self._listener.heard()
        if heard != [(1, text) for text in self._missing]:
            raise InvalidReply(f"a healthy client heard {heard[:3]!r:.200}, not", b", ".join(self._missing[:3]))
        self._missing.clear()
        return list(self._carried())

    def _carried(self) -> Iterator[Publication]:
        for witness in self._witnesses:
            for opcode, payload in witness.heard():
                yield witness.channel, opcode, payload
