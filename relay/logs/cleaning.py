"""What is done to the values of an entry, so that they neither leak a secret nor look like another entry."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import walk_tb
from types import FrameType
from typing import Any, Final

from structlog.typing import EventDict

from relay.redaction import cut_queries, escape_controls, mask_credentials

_FIRST = ("timestamp", "level", "event")
_TRACES = ("exception", "stack")

_MOST_CAUSES: Final = 4
_MOST_FRAMES: Final = 12
"""Of a trace: a recursion may have a thousand frames."""


def redact(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Clean every value, and put the usual keys first; a processor of structlog."""
    first = [key for key in _FIRST if key in entry]
    return {key: clean(entry[key]) for key in dict.fromkeys([*first, *entry])}


def clean(value: object) -> Any:
    """Return a value without passwords in URLs and query strings; an object that is no plain value becomes text."""
    if isinstance(value, str):
        return cut_queries(mask_credentials(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    return clean(str(value) if isinstance(value, BaseException) else repr(value))


def trace(error: BaseException) -> str:
    """Return where an exception comes from: its kind and frames, and those of its causes, the latest first.

    Unlike Python's traceback it has no texts: those of exceptions may hold what a client has sent, such as its token.
    """
    lines: list[str] = []
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            break
        frames = [f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_name}" for frame, line in _frames(cause)]
        lines += [f"{type(cause).__module__}.{type(cause).__qualname__}", *frames]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(lines)


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    """Return the last frames through which an exception has come."""
    return list(walk_tb(error.__traceback__))[-_MOST_FRAMES:]


def flatten(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Escape control characters, and indent tracebacks, so that none of their lines looks like an entry.

    A processor of structlog, for the console: JSON escapes by itself.
    """
    for key, value in entry.items():
        if not isinstance(value, str):
            continue
        if key in _TRACES:
            entry[key] = "    " + escape_controls(value, keep="\n").replace("\n", "\n    ")
        else:
            entry[key] = escape_controls(value)
    return entry
