"""Reports on settings: descriptions, the sources of values, problems, and unknown variables."""

from __future__ import annotations

import difflib
import enum
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from relay.redaction import MASK, escape_controls
from relay.settings.field import PREFIX
from relay.settings.problem import SettingProblem, WrongParts
from relay.settings.values import Range, ValueKind, show

_OF_CLIENTS: Final = ("token",)
"""Names, without the prefix, of variables of the environment that commands read which are clients of a gateway."""


class SettingSource(enum.Enum):
    """Where the value of a setting comes from; a later source overrides an earlier one."""

    DEFAULT = "default"
    ENV_FILE = ".env"
    ENVIRONMENT = "env"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Description:
    """A setting, as help and tables describe it.

    Args:
        name: of the field and of the keyword argument.
        group: heading under which help and tables list it.
        kind: of its values, with those that are allowed.
        meaning: one line, with the unit.
        default: the value without any configuration, as text.
    """

    name: str
    group: str
    kind: ValueKind
    meaning: str
    default: str

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Name of the command-line option."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable that has the prefix of settings, and is not a setting.

    Args:
        variable: its name. Its value is not shown: it may be a secret.
        source: where it was found.
        nearest: the setting that was probably meant; None: no name is similar.
    """

    variable: str
    source: SettingSource
    nearest: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.variable} ({self.source.value}) is not a setting{hint}"


def describe(model: type[BaseSettings]) -> list[Description]:
    """Return one description for each field of `model`, in the order of declaration."""
    return [_describe(name, field) for name, field in model.model_fields.items()]


def sources(model: type[BaseSettings], overrides: Iterable[str] = ()) -> dict[str, SettingSource]:
    """Return where the value of each setting comes from.

    Args:
        model: class of the settings.
        overrides: names of the settings that were given as flags or keyword arguments.
    """
    found = dict.fromkeys(model.model_fields, SettingSource.DEFAULT)
    for source, names in [*_variables(model).items(), (SettingSource.FLAG, list(overrides))]:
        found.update((name, source) for name in names if name in found)
    return found


def unknown_variables(model: type[BaseSettings]) -> list[UnknownVariable]:
    """Return every `RELAY_*` variable, of the environment and of `.env`, that is not a setting."""
    known = [PREFIX + name.upper() for name in model.model_fields]
    unknown = []
    for source, names in _variables(model).items():
        others = _OF_CLIENTS if source is SettingSource.ENVIRONMENT else ()
        for name in sorted(set(names).difference(model.model_fields, others)):
            variable = escape_controls(PREFIX + name.upper())
            nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0.75)
            unknown.append(UnknownVariable(variable, source, nearest[0] if nearest else None))
    return unknown


def problems(model: type[BaseSettings], error: ValidationError) -> list[SettingProblem]:
    """Return the errors that pydantic found, as readable problems: one per setting, or per wrong part of it."""
    found = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "value_error" and isinstance(parts := detail["ctx"]["error"], WrongParts):
            found += parts.problems
            continue
        name = str(detail["loc"][0])
        description = _describe(name, model.model_fields[name])
        allowed = str(description.kind)
        # A validator's own ValueError says which part of the rule was broken, where the value doesn't show it.
        if detail["type"] == "value_error" and (reason := str(detail["ctx"]["error"])):
            allowed += f" ({reason})"
        given = MASK if description.kind.secret and detail["input"] is not None else _quote(detail["input"])
        found.append(SettingProblem(description.variable, given, allowed))
    return found


def broken_lines(path: str) -> list[SettingProblem]:
    """Return a problem for each setting of a `.env` file whose line is malformed; dotenv would ignore it.

    Args:
        path: of the file. Lines that name no setting belong to other programs, and are ignored.
    """
    if not Path(path).is_file():
        return []
    found = []
    with open(path, encoding="utf-8") as lines:
        for binding in parse_stream(lines):
            named = re.match(rf"\s*(?:export\s+)?({PREFIX}\w+)", binding.original.string) if binding.error else None
            if named is not None:
                # The value is not shown: it may be a secret.
                line = binding.original.line + binding.original.string[: named.start(1)].count("\n")
                allowed = f"{named[1]}=value, in quotes that end when it begins with one"
                found.append(
                    SettingProblem(named[1], f"line {line} of {path}, which can't be read", allowed, located=True)
                )
    return found


def _quote(given: object) -> str:
    """Return a refused value in quotes, masked and cut."""
    short = cut(show(given))
    return f"'{short}'" if isinstance(given, str) else short


def cut(text: str) -> str:
    """Return the beginning of a refused value: it may be a whole file by mistake."""
    return text if len(text) <= 120 else text[:117] + "..."


def kind_of(annotation: object, metadata: Iterable[object] = ()) -> ValueKind:
    """Return the kind of values that a type describes.

    Args:
        annotation: the type: `Annotated`, or a `Literal`.
        metadata: its notes, where they have been taken off.
    """
    for note in _notes(annotation, metadata or getattr(annotation, "__metadata__", ())):
        if isinstance(note, ValueKind):
            return note
        if isinstance(note, Range):
            return note.kind
    raise TypeError(f"no ValueKind or Range on {annotation!r}")


def _describe(name: str, field: FieldInfo) -> Description:
    extra: Mapping[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Description(
        name=name,
        group=str(extra["group"]),
        kind=kind_of(field.annotation, field.metadata),
        meaning=field.description or "",
        default=show(field.default),
    )


def _notes(annotation: object, metadata: Iterable[object]) -> Iterable[object]:
    """Yield the notes of an `Annotated` type, also inside `X | None`, and a `ValueKind` for a `Literal`."""
    yield from metadata
    if get_origin(annotation) is Literal:
        yield ValueKind("choice", "|".join(get_args(annotation)))
    else:
        for argument in get_args(annotation):
            yield from _notes(argument, getattr(argument, "__metadata__", ()))


def _variables(model: type[BaseSettings]) -> dict[SettingSource, list[str]]:
    """Return the names of all `RELAY_*` variables that are set, in lower case and without the prefix."""
    prefix = PREFIX.lower()
    origins: dict[SettingSource, EnvSettingsSource] = {}
    with suppress(OSError, UnicodeDecodeError), quiet_dotenv():  # `Settings` reports an unreadable file as a problem
        origins[SettingSource.ENV_FILE] = DotEnvSettingsSource(model)
    origins[SettingSource.ENVIRONMENT] = EnvSettingsSource(model)
    return {
        source: [name.removeprefix(prefix) for name in origin.env_vars if name.startswith(prefix)]
        for source, origin in origins.items()
    }


@contextmanager
def quiet_dotenv() -> Iterator[None]:
    """Silence python-dotenv's warnings about malformed lines: `broken_lines` reports those that matter."""
    logger = logging.getLogger("dotenv.main")
    logger.addFilter(_reject)
    try:
        yield
    finally:
        logger.removeFilter(_reject)


def _reject(_: logging.LogRecord) -> bool:
    return False
