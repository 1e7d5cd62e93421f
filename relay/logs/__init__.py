"""Structured logs: one line an entry, for people on a terminal and as JSON for everything else.

Entries of the standard library's loggers (asyncio, aiohttp) take the same way. Whatever clients can put into an
entry is made harmless: no control characters, no passwords in URLs, no query strings. Nor can they write as many as
they like: see `relay.logs.rate`; only the level debug has no limit. Writing an entry never waits for the reader of the
log: see `relay.logs.writer`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from relay.logs.rate import INTERVAL_SECONDS, EntryKind, LogRate
from relay.logs.writer import LogWriter
from relay.redaction import cut_queries, escape_controls, mask_credentials

_FIRST = ("timestamp", "level", "event")
_TRACES = ("exception", "stack")

_clock = time.monotonic
_rate = LogRate()
_rate_lock = threading.Lock()


def configure_logs(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["auto", "console", "json"],
    stream: TextIO | None = None,
    worker: int | None = None,
) -> None:
    """Send all logs of this process to one stream. For the command only: a library leaves logging to its program.

    Args:
        level: least important entries to write.
        format: how they look; auto is console on a terminal and JSON elsewhere.
        stream: where they go; None for standard error, or nowhere when that is closed.
        worker: number of this process, named in each entry; None: there is only one.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream is not None and stream.isatty()
    console = format == "console" or (format == "auto" and terminal)
    colors = console and terminal and not os.environ.get("NO_COLOR")
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if worker is None else [_name_worker(worker)]),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False)
        if console
        else structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # As text: structlog's own console traceback shows local variables, so passwords.
        structlog.processors.format_exc_info,
    ]
    handler = _handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([_redact, _flatten, _console(colors)] if console else [_redact, structlog.processors.JSONRenderer()]),
            ],
        )
    )
    handler.addFilter(_admit_foreign)
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


class Logger:
    """What the parts of a gateway log with.

    In a program that has configured structlog, as `relay serve` has, entries take that way. In any other, where
    structlog would print them to standard output, they go to the standard library's logger of the same name, as
    those of any library do.

    Above the level debug only the first entries of one event are written in an interval, and then one line says how
    many more there were: `event` names a kind of entry, and what differs between two of a kind belongs into fields.

    Args:
        name: of the logger, such as `relay.gateway`.
    """

    __slots__ = ("_name", "_standard", "_structured")

    def __init__(self, name: str) -> None:
        self._name = name
        self._structured = structlog.get_logger(name)
        self._standard = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Log what only somebody who looks for a fault wants to know."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log a step in the life of a gateway."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what an operator should look at some time."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what an operator should look at now."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log a mistake of the program, with the traceback of the exception that is handled now."""
        self._log(logging.ERROR, event, {**fields, "exc_info": True})

    def _log(self, level: int, event: str, fields: dict[str, object]) -> None:
        if _admit(EntryKind(self._name, level, event)):
            self._write(level, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if structlog.is_configured():
            self._structured.log(level, event, **fields)
        elif self._standard.isEnabledFor(level):
            trace = bool(fields.pop("exc_info", False))
            pairs = [f"{key}={escape_controls(str(_clean(value)))}" for key, value in fields.items()]
            self._standard.log(level, "%s", " ".join([event, *pairs]), exc_info=trace)


def flush_logs() -> bool:
    """Wait until all entries are written, but not for long; return whether they are."""
    return all([handler.written() for handler in logging.getLogger().handlers if isinstance(handler, LogWriter)])


def dropped_entries() -> dict[str, int]:
    """Return how many entries of this process were not written, by reason."""
    writers = [handler for handler in logging.getLogger().handlers if isinstance(handler, LogWriter)]
    return {"rate_limit": _rate.left_out_total, "unwritable": sum(writer.dropped_total for writer in writers)}


def log_left_out() -> None:
    """Log how many entries were left out in intervals that are over."""
    with _rate_lock:
        over = _rate.ended(_clock())
    for kind, left_out in over:
        fields: dict[str, object] = {"of": kind.event, "entries": left_out, "seconds": INTERVAL_SECONDS}
        Logger(kind.logger)._write(kind.level, "log entries left out", fields)


def _admit(kind: EntryKind) -> bool:
    """Return whether an entry may be written; what was left out before it is told first."""
    if kind.level <= logging.DEBUG:
        return True
    log_left_out()
    with _rate_lock:
        return _rate.admit(kind, _clock())


def _admit_foreign(record: logging.LogRecord) -> bool:
    """Return whether an entry of a library may be written; those of structlog have been asked for already."""
    if hasattr(record, "_logger"):
        return True
    # A text without arguments may have its values in it already, and an object is a value.
    event = record.msg if record.args and isinstance(record.msg, str) else f"{record.module}:{record.lineno}"
    return _admit(EntryKind(record.name, record.levelno, event))


def _handler(stream: TextIO | None) -> logging.Handler:
    """Return what writes to a stream without making the process wait."""
    if stream is None:
        return logging.NullHandler()
    try:
        descriptor = stream.fileno()
    except OSError:  # in memory, where nothing waits
        return logging.StreamHandler(stream)
    return LogWriter(descriptor, _tell_dropped, stream.encoding)


def _tell_dropped(entries: int) -> None:
    """Log how many entries could not be written."""
    Logger("relay.logs")._write(logging.WARNING, "log entries dropped", {"entries": entries})


def _console(colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=24, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def _name_worker(worker: int) -> Processor:
    def name(_logger: object, _method: str, entry: EventDict) -> EventDict:
        return {**entry, "worker": worker}

    return name


def _redact(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Take passwords and query strings out of every value, turn objects into text, and put the usual keys first."""
    first = [key for key in _FIRST if key in entry]
    return {key: _clean(entry[key]) for key in dict.fromkeys([*first, *entry])}


def _clean(value: object) -> Any:
    if isinstance(value, str):
        return cut_queries(mask_credentials(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return _clean(str(value) if isinstance(value, BaseException) else repr(value))


def _flatten(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Escape control characters, which JSON does by itself, and indent traces: no line of one passes for an entry."""
    for key, value in entry.items():
        if not isinstance(value, str):
            continue
        if key in _TRACES:
            entry[key] = "    " + escape_controls(value, keep="\n").replace("\n", "\n    ")
        else:
            entry[key] = escape_controls(value)
    return entry
