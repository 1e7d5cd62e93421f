"""The socket of one client without a kernel: what it sends and what it is sent, in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

MAX_READ_BYTES: Final = 256 * 1024
"""What asyncio reads at once."""

_EOF: Final = b""


class MemoryTransport(asyncio.Transport):
    """Does what asyncio's transport of a socket does, its errors included.

    Args:
        loop: the event loop.
        protocol: the gateway's.
        reads: whether the client takes what is written to it; else it waits in the transport's buffer.

    Attributes:
        written: what the gateway has written.
        eof_written: whether it has closed its side.
        lost: whether the connection is over.
    """

    __slots__ = (
        "_closing",
        "_high",
        "_inbox",
        "_loop",
        "_low",
        "_paused",
        "_protocol",
        "_pumping",
        "_reads",
        "_unread",
        "_write_paused",
        "eof_written",
        "lost",
        "written",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, reads: bool = True) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: Any = protocol
        self._reads = reads
        self._inbox: deque[bytes] = deque()
        self._pumping = self._paused = self._closing = self._write_paused = False
        self._unread = 0
        self._high, self._low = 64 * 1024, 16 * 1024
        self.written = bytearray()
        self.eof_written = self.lost = False
        self._protocol.connection_made(self)

    # What the client does.

    def send(self, data: bytes) -> None:
        """Send bytes; they are read at once, unless the gateway doesn't read."""
        if data:
            self._inbox.append(data)
            self._pump()

    def send_eof(self) -> None:
        """Close the client's side."""
        self._inbox.append(_EOF)
        self._pump()

    def reset(self) -> None:
        """Drop the connection, as a client does that vanishes."""
        self._force_close(ConnectionResetError(104, "Connection reset by peer"))

    def read(self) -> None:
        """Take all that waits, and all that will be written."""
        self._reads, self._unread = True, 0
        if self._write_paused and not self.lost:
            self._write_paused = False
            self._call("resume_writing")
        if self._closing and not self.lost:
            self._loop.call_soon(self._lose, None)

    # What the gateway does.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the default: there is no socket."""
        return default

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that gets what the client sends."""
        found: asyncio.BaseProtocol = self._protocol
        return found

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what the client sends to another protocol from now on."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Return whether the connection ends."""
        return self._closing

    def is_reading(self) -> bool:
        """Return whether the client is read."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Leave what the client sends where it is."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read again, from the next turn on."""
        if self._paused and not self._closing:
            self._paused = False
            self._pump_later()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks of what the client hasn't taken."""
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the client hasn't taken."""
        return self._unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write to the client."""
        if self.eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing:
            return
        self.written += data
        if not self._reads:
            self._unread += len(data)
            if self._unread > self._high and not self._write_paused:
                self._write_paused = True
                self._call("pause_writing")

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Close the gateway's side."""
        if not self._closing:
            self.eof_written = True

    def close(self) -> None:
        """End the connection once the client has taken everything; nothing more is read."""
        if not self._closing:
            self._closing = True
            self._inbox.clear()
            if not self._unread:
                self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """End the connection at once."""
        self._force_close(None)

    def _force_close(self, error: Exception | None) -> None:
        if self.lost or (self._closing and not self._unread):
            return
        self._closing, self._unread = True, 0
        self._inbox.clear()
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            try:
                self._protocol.connection_lost(error)
            finally:
                self._protocol = None

    def _pump_later(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pumping = False
        self._pump()

    def _pump(self) -> None:
        """Give the protocol one read, as the event loop does in one turn."""
        if not self._inbox or self._pumping or not self.is_reading():
            return
        data = self._inbox.popleft()
        if data is _EOF:
            if not self._call("eof_received"):
                self.close()
            return
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            size = self._read_into_buffer(data)
        else:
            size = min(len(data), MAX_READ_BYTES)
            self._call("data_received", data[:size])
        if size < len(data) and not self._closing:
            self._inbox.appendleft(data[size:])
        if self._inbox:
            self._pump_later()

    def _read_into_buffer(self, data: bytes) -> int:
        buffer = self._call("get_buffer", -1)
        if buffer is None:
            return len(data)
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        self._call("buffer_updated", size)
        return size

    def _call(self, name: str, *arguments: object) -> Any:
        """Call the protocol; an exception ends the connection and goes to the loop's handler, as in asyncio."""
        try:
            return getattr(self._protocol, name)(*arguments)
        except Exception as error:  # noqa: BLE001  # whatever it is, asyncio reports it and ends the connection
            context = {"message": f"protocol.{name}() call failed", "exception": error, "protocol": self._protocol}
            self._loop.call_exception_handler(context)
            self._force_close(error)
            return None
