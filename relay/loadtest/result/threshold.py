"""Thresholds: limits of figures that fail a run, such as `--fail-if 'p99>50ms'`."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.errors import RelayError
from relay.loadtest.result.figure import FIGURES, Unit
from relay.loadtest.result.result import Result
from relay.loadtest.units.parsing import QuantityError

_SYNTAX: Final = re.compile(r"\s*([A-Za-z0-9_.]+)\s*(>=|<=|>|<)\s*(.*)")

_OPERATORS: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    ">": (operator.gt, "not to be more than {}"),
    ">=": (operator.ge, "not to be {} or more"),
    "<": (operator.lt, "not to be less than {}"),
    "<=": (operator.le, "not to be {} or less"),
}

_DIGITS: Final = (3, 4, 6, 9)


class ThresholdError(RelayError):
    """A text that is not a valid threshold.

    Args:
        given: the text.
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
    """A condition that fails a run.

    Args:
        figure: name of a figure, one of `FIGURES`.
        operator: >, >=, < or <=.
        limit: in the unit of the figure.
    """

    figure: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Return the threshold that a text such as "p99>50ms" means.

        Raises:
            ThresholdError: the text means none; says what is allowed.
        """
        match = _SYNTAX.fullmatch(text)
        if match is None:
            raise ThresholdError(text, "write a figure, one of > >= < <=, and a limit, such as p99>50ms")
        name, sign, limit = match[1], match[2], match[3]
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            hint = f", did you mean {near[0]}?" if near else ";"
            raise ThresholdError(text, f"there is no figure {name}{hint} allowed: {', '.join(FIGURES)}")
        try:
            return cls(name, sign, FIGURES[name].unit.parse(limit))
        except QuantityError as error:
            raise ThresholdError(text, str(error)) from None

    def broken_by(self, result: Result) -> str | None:
        """Return a sentence without a full stop when the result breaks this threshold, else None.

        A figure that the run doesn't have breaks the threshold, too: nothing was proved.
        """
        figure = FIGURES[self.figure]
        holds, rule = _OPERATORS[self.operator]
        value = figure.read(result)
        if value is None:
            limit = figure.unit.show(self.limit, _DIGITS[0])
            return f"{self.figure} was {rule.format(limit)}, but the run has no such figure: {figure.absence}"
        if not holds(value, self.limit):
            return None
        found, limit = _distinct_texts(figure.unit, value, self.limit)
        return f"{self.figure} was {found}, {rule.format(limit)}"


def _distinct_texts(unit: Unit, value: float, limit: float) -> tuple[str, str]:
    """Return both numbers as text, with as many digits as it takes to tell them apart."""
    texts = [(unit.show(value, digits), unit.show(limit, digits)) for digits in _DIGITS]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])
