"""Entries are written in order by a thread; those that can't be written are bounded, counted and reported."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from typing import Any

import pytest

from relay.logs.writer import LogWriter
from tests.harness.conditions import wait_until_blocking

SMALLEST_PIPE = 4096


@dataclass
class Pipe:
    """A pipe with little room, and the writers to it.

    Args:
        source: its reading end.
        end: its writing end.
        writers: to be closed after the test.
    """

    source: int
    end: int
    writers: list[LogWriter] = field(default_factory=list)

    def writer(self, **options: Any) -> LogWriter:
        """Return a writer of texts without decoration."""
        writer = LogWriter(self.end, lambda dropped: log(writer, f"dropped {dropped}"), **options)
        self.writers.append(writer)
        return writer

    def read(self) -> str:
        """Return what can be read at once, at least one byte."""
        return os.read(self.source, 1 << 20).decode()

    def read_until(self, text: str) -> str:
        """Return all up to a text."""
        found = ""
        while text not in found:
            found += self.read()
        return found


def log(writer: LogWriter, text: str) -> None:
    """Write one entry."""
    writer.handle(logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None))


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that holds one page."""
    source, end = os.pipe()
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    made = Pipe(source, end)
    yield made
    os.set_blocking(source, False)
    while any(writer._waiting_bytes for writer in made.writers):
        try:
            os.read(source, 1 << 20)
        except BlockingIOError:
            threading.Event().wait(0.001)
    for writer in made.writers:
        writer.close()
    os.close(source)
    os.close(end)


def test_entries_are_written_in_order(pipe: Pipe) -> None:
    """Each on a line."""
    writer = pipe.writer()
    for n in range(100):
        log(writer, f"entry {n}")
    assert writer.written()
    assert pipe.read() == "".join(f"entry {n}\n" for n in range(100))
    assert writer.dropped_total == 0


def test_an_entry_does_not_wait_for_the_reader(pipe: Pipe) -> None:
    """What waits is written once it reads again, in order; nothing is dropped before the buffer is full."""
    writer = pipe.writer(flush_seconds=0.01)
    for n in range(3000):
        log(writer, f"entry {n}")
    assert not writer.written()
    assert pipe.read_until("entry 2999\n") == "".join(f"entry {n}\n" for n in range(3000))
    assert writer.dropped_total == 0


def test_what_finds_no_room_is_dropped_counted_and_told(pipe: Pipe) -> None:
    """The oldest entries stay; the line that tells comes after them, and before later ones."""
    writer = pipe.writer(most_bytes=20_000, flush_seconds=0.01)
    for n in range(10_000):
        log(writer, f"entry {n:04}")
    dropped = writer.dropped_total
    assert dropped > 5000
    *entries, told = pipe.read_until(f"dropped {dropped}\n").splitlines()
    assert told == f"dropped {dropped}"
    assert entries == [f"entry {n:04}" for n in range(10_000 - dropped)]
    log(writer, "later")
    assert pipe.read_until("later\n") == "later\n"
    assert writer.dropped_total == dropped


def test_several_processes_share_a_pipe_without_mixing_lines(pipe: Pipe) -> None:
    """Two writers at once stand for them: each write is one that the kernel keeps together."""
    first, second = pipe.writer(), pipe.writer()
    texts = {"a": "a" * 150, "b": "b" * 150}
    for _ in range(300):
        log(first, texts["a"])
        log(second, texts["b"])
    read = ""
    while read.count("\n") < 600:
        read += pipe.read()
    assert set(read.splitlines()) == set(texts.values())


def test_a_reader_that_is_gone_costs_nothing(pipe: Pipe) -> None:
    """Its entries are counted as dropped, and the end of the process doesn't wait."""
    source, end = os.pipe()
    os.close(source)
    writer = LogWriter(end, lambda dropped: None, flush_seconds=3600)
    for n in range(10):
        log(writer, f"entry {n}")
    assert writer.written()
    assert writer.dropped_total == 10
    writer.close()
    os.close(end)


def test_a_full_disk_costs_entries_only() -> None:
    """Those after it are written, and the line that tells how many were lost."""
    with open("/dev/full", "wb") as full:
        writer = LogWriter(full.fileno(), lambda dropped: None, flush_seconds=3600)
        log(writer, "entry")
        assert writer.written()
        assert writer.dropped_total == 1
        writer.close()


def test_a_pipe_that_another_process_made_non_blocking(pipe: Pipe) -> None:
    """The flag belongs to the pipe, not to the process that sets it."""
    os.set_blocking(pipe.end, False)
    writer = pipe.writer()
    for n in range(3000):
        log(writer, f"entry {n}")
    assert pipe.read_until("entry 2999\n") == "".join(f"entry {n}\n" for n in range(3000))


def test_what_an_encoding_lacks_is_escaped(pipe: Pipe) -> None:
    """An entry is not lost for a letter."""
    writer = pipe.writer(encoding="ascii")
    log(writer, "café")
    assert pipe.read() == "caf\\xe9\n"


def test_nothing_is_written_after_the_end(pipe: Pipe) -> None:
    """What comes then is counted."""
    writer = pipe.writer()
    log(writer, "entry")
    writer.close()
    log(writer, "late")
    assert pipe.read() == "entry\n"
    assert writer.dropped_total == 1
    wait_until_blocking(lambda: writer._thread is not None and not writer._thread.is_alive())


def test_a_process_ends_though_its_log_is_not_read() -> None:
    """And writes all when it is."""
    code = (
        "import logging, sys; from relay.logs import configure_logs; configure_logs('info', 'json')\n"
        "[logging.getLogger(str(n)).warning('x' * 1000) for n in range(200)]\n"
        "sys.stdout.write('done')"
    )
    for read in (False, True):
        with Popen([sys.executable, "-c", code], stdout=PIPE, stderr=PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            if read:
                assert len(process.stderr.read().splitlines()) == 200
            assert process.stdout.read() == b"done"
            assert process.wait() == 0
