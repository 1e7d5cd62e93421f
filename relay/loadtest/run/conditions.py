"""The conditions of a run: what it takes to repeat it, or to compare it with another."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.run.machine import PROC, clock_ticks, machine
from relay.loadtest.units.formatting import count, share
from relay.redaction import MASK, escape_controls, mask_credentials
from relay.version import __version__

HEADER: Final = "--header"

CREDENTIAL: Final = "--token"

_LIBRARIES: Final = ("numpy", "hdrhistogram")

# A secret in a frame that is JSON, such as {"connect": {"token": "..."}}.
_SECRET_MEMBER: Final = re.compile(r"(?i)(\"[a-z_-]*(?:password|token|secret|key|auth)\"\s*:\s*\")(?:[^\"\\]|\\.)*\"")


class Conditions:
    """The conditions of one run. Create it at the run's start: it compares the machine's counters with those of then.

    Args:
        plan: plan of the run.
        arguments: the command line, beginning with the program's name.
        event_loop: event loop of the workers: uvloop or asyncio.
        settings: settings of the servers that were started for the run.
        proc: folder of Linux' /proc.

    Attributes:
        defaults: names of the options in the table that are as they would be without a profile and a command line.
    """

    def __init__(
        self,
        plan: Plan,
        arguments: Sequence[str],
        event_loop: str,
        settings: Mapping[str, str] | None = None,
        proc: Path = PROC,
    ) -> None:
        self._proc = proc
        self._ticks = clock_ticks(proc)
        self._environment = {
            "command line": command_line(arguments),
            "relay": __version__,
            "Python": f"{platform.python_implementation()} {platform.python_version()}",
            "event loop": f"{event_loop} {_version(event_loop)}".rstrip(),
            **{library: _version(library) for library in _LIBRARIES},
            **machine(proc),
            "load at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        }
        self._options = {**_options(plan), **{name: _redact(value) for name, value in (settings or {}).items()}}
        usual = Plan(urls=(), dialect=plan.dialect)
        self.defaults = [
            _words(name)
            for name, value in asdict(plan).items()
            if not isinstance(value, Dialect) and value == getattr(usual, name)
        ]

    def stolen_share(self) -> float | None:
        """Return the share of processor time that the host has stolen from this virtual machine since the start."""
        now = clock_ticks(self._proc)
        if self._ticks is None or now is None or now[1] <= self._ticks[1]:
            return None
        return (now[0] - self._ticks[0]) / (now[1] - self._ticks[1])

    def table(self) -> dict[str, str]:
        """Return name → value for people, with passwords and headers masked. Call it at the run's end."""
        stolen = self.stolen_share()
        at_end = {} if stolen is None else {"stolen by the host": share(stolen, 2)}
        return {**self._environment, **at_end, **self._options}


def command_line(arguments: Sequence[str]) -> str:
    """Return a command line as the user types it, with passwords, tokens and the values of headers masked."""
    shown = []
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if option in _MASKED:
            shown.append(_MASKED[option](argument))
            option = ""
            continue
        shown.append(f"{name}={_MASKED[name](value)}" if equals and name in _MASKED else _redact(argument))
        option = argument
    return shlex.join(shown)


def _version(distribution: str) -> str:
    """Return the version of a distribution; empty when it isn't installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _redact(text: str) -> str:
    return escape_controls(_SECRET_MEMBER.sub(rf'\g<1>{MASK}"', mask_credentials(text)))


def _mask_header(header: str) -> str:
    name, colon, _ = header.partition(":")
    return f"{escape_controls(name)}: {MASK}" if colon else MASK


_MASKED: Final[Mapping[str, Callable[[str], str]]] = {HEADER: _mask_header, CREDENTIAL: lambda value: MASK}
"""Option → how its value is shown."""


def _options(plan: Plan) -> dict[str, str]:
    """Return every option of a plan, and the options of its dialect that differ from the defaults."""
    defaults = Dialect()
    options = {_words(name): _show(value) for name, value in asdict(plan).items() if not isinstance(value, Dialect)}
    for name, value in asdict(plan.dialect).items():
        if value == getattr(defaults, name):
            continue
        shown = [(header, MASK) for header, _ in plan.dialect.headers] if name == "headers" else value
        options[f"dialect: {_words(name)}"] = _show(shown)
    return options


def _words(name: str) -> str:
    return name.replace("_", " ")


def _show(value: object) -> str:
    """Return the value of an option as text; lists with commas, their pairs with arrows."""
    if isinstance(value, list | tuple):
        items = [" => ".join(item) if isinstance(item, tuple) else str(item) for item in value]
        return _redact(", ".join(items)) or "none"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return count(value, 6)
    return _redact(str(value)) or "none"
