"""Numbers of several processes, added up field by field."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final, Self

WORST: Final[Mapping[str, Any]] = {"add": max}
"""Metadata of a field of which the largest value counts: a lag, or a flag that one process raises for all."""

LEAST: Final[Mapping[str, Any]] = {"add": min}
"""Metadata of a field of which the smallest value counts: a flag that needs all processes, or a beginning."""


class Additive:
    """Base of dataclasses that hold numbers, `Additive`s, and dicts of these by key.

    Fields are summed, unless their metadata is `WORST` or `LEAST`.
    """

    __slots__ = ()

    def add(self, other: Self) -> None:
        """Add what another process has; `other` stays as it is."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            rule = field.metadata.get("add", operator.add)
            setattr(self, field.name, _sum(getattr(self, field.name), getattr(other, field.name), rule))


def _sum(mine: Any, theirs: Any, rule: Callable[[Any, Any], Any]) -> Any:
    """Return the sum; what is mutable on the left is changed and returned."""
    if isinstance(mine, Additive):
        mine.add(theirs)
        return mine
    if isinstance(mine, dict):
        for key, value in theirs.items():
            mine[key] = _sum(mine[key], value, rule) if key in mine else deepcopy(value)
        return mine
    return rule(mine, theirs)
