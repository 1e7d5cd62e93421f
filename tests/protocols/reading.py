"""Bytes of a socket on their way to a protocol, by the reader that all WebSockets have."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from relay.clients.message_reader import MessageReader
from relay.clients.turns import Turns
from relay.clients.unfinished_messages import UnfinishedMessages
from relay.errors import Disconnect, ProtocolError
from relay.limits.meter import SendingRates
from relay.metrics.counters import Counters
from relay.protocols import ClientProtocol
from tests.protocols.recording import RecordingSession


class Reading:
    """Does what `WebSocket` does with what its reader finds; see `Receiver`.

    Attributes:
        recording: what the protocol did.
        failures: why the connection was failed.
    """

    def __init__(self, protocol: ClientProtocol) -> None:
        loop = asyncio.get_running_loop()
        self.recording = RecordingSession(protocol)
        self.failures: list[Disconnect] = []
        self.paused = False
        self.reading = True
        self.session: Any = self.recording
        context = SimpleNamespace(
            loop=loop,
            turns=Turns(loop),
            unfinished=UnfinishedMessages(30.0),
            counters=Counters(),
            max_message_bytes=1_000_000,
            sending=SendingRates(None, None),
        )
        self._protocol = protocol
        protocol.opened(self.recording, None)
        self._reader = MessageReader(cast(Any, context), self)

    def read(self, data: bytes) -> None:
        """Take what was read of a socket."""
        self._reader.read(data)
        try:
            self.recording.give_turns(self._protocol)
        except ProtocolError as error:
            self.fail(error.disconnect)

    def end(self) -> None:
        """Let go of everything."""
        self._reader.end()

    def fail(self, disconnect: Disconnect) -> None:
        self._reader.muted = True
        self.failures.append(disconnect)

    def answer(self, pongs: bytes) -> None:
        raise AssertionError("no pings here")

    def pause_reading(self) -> None:
        raise AssertionError("fewer frames than a turn has, and no rate")

    def go_on(self) -> int:
        raise AssertionError("nothing waits")

    def message_failed(self) -> None:
        raise AssertionError("only ProtocolError may be raised")

    def protocol_ended(self) -> None:
        raise AssertionError("no close frame here")

    def flush_protocol(self) -> None:
        raise AssertionError("nothing to be said")

    def give_up_message(self) -> None:
        raise AssertionError("no time has passed")
