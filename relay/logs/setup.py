"""Sets up the logs of a process: their level, their form, and where they go."""

from __future__ import annotations

import logging
import os
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from relay.logs.cleaning import flatten, redact
from relay.logs.logger import Logger, admit, left_out_entries, threshold
from relay.logs.rate import EntryKind
from relay.logs.writer import LogWriter


def configure_logs(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["auto", "console", "json"],
    stream: TextIO | None = None,
    worker: int | None = None,
) -> None:
    """Send all logs of this process to one stream. Only for the command: a library leaves logging to its program.

    Args:
        level: the least important level that is written.
        format: form of the entries; auto is console on a terminal and JSON elsewhere.
        stream: where they go; None: to standard error, or nowhere if that is closed.
        worker: number of this process, which each entry names; None: there is only one process.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream is not None and stream.isatty()
    console = format == "console" or (format == "auto" and terminal)
    colors = console and terminal and not os.environ.get("NO_COLOR")
    least = threshold.level = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if worker is None else [_name_worker(worker)]),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)
        if console
        else structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # As text: structlog's own console traceback shows local variables, and so passwords.
        structlog.processors.format_exc_info,
    ]
    handler = _make_handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([redact, flatten, _console(colors)] if console else [redact, structlog.processors.JSONRenderer()]),
            ],
        )
    )
    handler.addFilter(_admit_foreign)
    logging.basicConfig(handlers=[handler], level=least, force=True)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def flush_logs() -> bool:
    """Wait a short time until all entries are written; return whether they are."""
    return all([handler.written() for handler in logging.getLogger().handlers if isinstance(handler, LogWriter)])


def dropped_entries() -> dict[str, int]:
    """Return how many entries of this process were not written, by reason."""
    writers = [handler for handler in logging.getLogger().handlers if isinstance(handler, LogWriter)]
    unwritable = sum(writer.dropped_total for writer in writers)
    return {"rate_limit": left_out_entries(), "unwritable": unwritable}


def _admit_foreign(record: logging.LogRecord) -> bool:
    """Return whether an entry of a library may be written; those of structlog were admitted by `Logger`."""
    if hasattr(record, "_logger"):
        return True
    # A text without arguments may contain values, and an object is a value: then the place in the code is the kind.
    event = record.msg if record.args and isinstance(record.msg, str) else f"{record.module}:{record.lineno}"
    return admit(EntryKind(record.name, record.levelno, event))


def _make_handler(stream: TextIO | None) -> logging.Handler:
    """Return a handler that writes to a stream without making the process wait."""
    if stream is None:
        return logging.NullHandler()
    try:
        descriptor = stream.fileno()
    except OSError:  # a stream in memory, which never waits
        return logging.StreamHandler(stream)
    return LogWriter(descriptor, _log_dropped, stream.encoding)


def _log_dropped(entries: int) -> None:
    """Log how many entries could not be written."""
    Logger("relay.logs").write(logging.WARNING, "log entries dropped", {"entries": entries})


def _console(colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=24, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def _name_worker(worker: int) -> Processor:
    def name(_logger: object, _method: str, entry: EventDict) -> EventDict:
        return {**entry, "worker": worker}

    return name
