"""What a run must keep to besides losing nothing: `--fail-if 'p99>50ms'`."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.errors import RelayError
from relay.loadtest.result.figure import FIGURES, Kind
from relay.loadtest.result.result import Result
from relay.loadtest.units.parsing import QuantityError

_WRITTEN: Final = re.compile(r"\s*([A-Za-z0-9_.]+)\s*(>=|<=|>|<)\s*(.*)")

_OPERATORS: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    ">": (operator.gt, "not to be more than {}"),
    ">=": (operator.ge, "not to be {} or more"),
    "<": (operator.lt, "not to be less than {}"),
    "<=": (operator.le, "not to be {} or less"),
}

_DIGITS: Final = (3, 4, 6, 9)


class ThresholdError(RelayError):
    """A threshold that can't be understood.

    Args:
        given: its text.
        problem: what is wrong, and what is allowed.
    """

    def __init__(self, given: str, problem: str) -> None:
        super().__init__(given, problem)
        self.given = given
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.given!r}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition under which a run fails.

    Args:
        figure: name of a figure, one of `FIGURES`.
        operator: >, >=, < or <=.
        limit: in seconds, bytes, percent or plain numbers, whichever the figure has.
    """

    figure: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Return the threshold that a text such as "p99>50ms" means.

        Raises:
            ThresholdError: it means none; says what is allowed.
        """
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise ThresholdError(text, "write a figure, one of > >= < <=, and a limit, such as p99>50ms")
        name, sign, limit = match[1], match[2], match[3]
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            hint = f", did you mean {near[0]}?" if near else ";"
            raise ThresholdError(text, f"there is no figure {name}{hint} allowed: {', '.join(FIGURES)}")
        try:
            return cls(name, sign, FIGURES[name].kind.parse(limit))
        except QuantityError as error:
            raise ThresholdError(text, str(error)) from None

    def broken_by(self, result: Result) -> str | None:
        """Return a sentence without a full stop when the result breaks this threshold, else None.

        A figure that the run doesn't have breaks it, too: nothing was proved.
        """
        figure = FIGURES[self.figure]
        holds, rule = _OPERATORS[self.operator]
        value = figure.read(result)
        if value is None:
            limit = figure.kind.show(self.limit, _DIGITS[0])
            return f"{self.figure} was {rule.format(limit)}, but the run has no such figure: {figure.absence}"
        if not holds(value, self.limit):
            return None
        found, limit = _told_apart(figure.kind, value, self.limit)
        return f"{self.figure} was {found}, {rule.format(limit)}"


def _told_apart(kind: Kind, value: float, limit: float) -> tuple[str, str]:
    """Return both as text, with as many digits as it takes to see that they differ."""
    texts = [(kind.show(value, digits), kind.show(limit, digits)) for digits in _DIGITS]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])
