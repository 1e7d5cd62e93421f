"""Writes the log without waiting for its reader.

A pipe whose reader hangs, a paused terminal and a slow disk make a write wait. In an event loop that would stop every
client, and signals would not be handled. So a thread writes, and the entries that wait for it are bounded.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 1024 * 1024
"""Limit of the entries that wait to be written. Further ones are dropped: the first ones tell how a fault began."""

CHUNK_BYTES: Final = select.PIPE_BUF
"""Most bytes of one write: workers share a pipe, and the kernel does not mix writes of up to this size."""

FLUSH_SECONDS: Final = 1.0
"""How long the end of the process waits for entries to be written."""


class LogWriter(logging.Handler):
    """Writes entries to a file descriptor, in order, from a thread that ends with the process.

    Args:
        descriptor: where they go; blocking or non-blocking.
        on_dropped: called with the number of dropped entries once entries can be written again; logs it.
        encoding: of the text; characters that it lacks are escaped.
        most_bytes: limit of the entries that wait.
        flush_seconds: longest wait of `flush`.

    Attributes:
        dropped_total: number of entries that were not written.
    """

    def __init__(
        self,
        descriptor: int,
        on_dropped: Callable[[int], None],
        encoding: str = "utf-8",
        most_bytes: int = MOST_BYTES,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        super().__init__()
        self.dropped_total = 0
        self._descriptor = descriptor
        self._on_dropped = on_dropped
        self._encoding = encoding
        self._most_bytes = most_bytes
        self._flush_seconds = flush_seconds
        self._changed = threading.Condition()
        # All attributes below are guarded by the condition's lock.
        self._entries: deque[bytes] = deque()
        self._waiting_bytes = 0  # including those that are being written
        self._unreported = 0
        self._thread: threading.Thread | None = None
        self._failing = False
        self._closed = False

    def handle(self, record: logging.LogRecord) -> bool:
        """Take an entry, without the lock of `logging.Handler`, which `logging.shutdown` holds while it flushes."""
        if passed := self.filter(record):
            self.emit(record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Format an entry and queue it for the thread; return at once."""
        try:
            entry = f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")
        except Exception:  # noqa: BLE001  # as `logging` asks of handlers
            self.handleError(record)
            return
        with self._changed:
            if self._closed or self._waiting_bytes + len(entry) > self._most_bytes:
                self._count_dropped(1)
                return
            self._entries.append(entry)
            self._waiting_bytes += len(entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="relay log writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all entries are written, at most `flush_seconds`."""
        self.written()

    def written(self) -> bool:
        """Wait as `flush` does, and return whether all entries are written."""
        with self._changed:
            return self._changed.wait_for(self._settled, self._flush_seconds)

    def close(self) -> None:
        """Flush, and end the thread, unless it is blocked in a write."""
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _run(self) -> None:
        while chunk := self._next_chunk():
            written = self._write(b"".join(chunk))
            with self._changed:
                self._waiting_bytes -= sum(map(len, chunk))
                self._failing = not written
                if not written:
                    self._count_dropped(len(chunk))
                untold = self._unreported if written and self._waiting_bytes <= self._most_bytes // 2 else 0
            if untold:
                self._on_dropped(untold)
            with self._changed:
                self._unreported -= untold  # only now: `written` waits until they are reported
                self._changed.notify_all()

    def _settled(self) -> bool:
        """Return whether there is nothing to wait for."""
        return not self._waiting_bytes and (self._failing or not self._unreported)

    def _next_chunk(self) -> list[bytes]:
        """Wait for entries and return some of them; an empty list when the writer is closed."""
        chunk: list[bytes] = []
        size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closed)
            while self._entries and (not chunk or size + len(self._entries[0]) <= CHUNK_BYTES):
                chunk.append(self._entries.popleft())
                size += len(chunk[-1])
        return chunk

    def _write(self, data: bytes) -> bool:
        """Write all data, however long it takes; return False if it can't be written at all.

        Not through a Python stream: a thread that is blocked in one holds its lock, and the interpreter can't end.
        """
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:  # the reader has closed the pipe, or the disk is full
                return False
        return True

    def _count_dropped(self, entries: int) -> None:
        self.dropped_total += entries
        self._unreported += entries
