"""A number with a unit, as the value of an option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from relay.loadtest.units.parsing import QuantityError


class Quantity(click.ParamType[float]):
    """A number with a unit.

    Args:
        name: name of the type in the help.
        parse: parses a text; raises QuantityError.
        least: smallest value allowed.
    """

    def __init__(self, name: str, parse: Callable[[str], float], least: float = 0.0) -> None:
        self.name = name
        self._parse = parse
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number in its base unit, or fail with the allowed forms."""
        try:
            number = self._parse(value)
        except QuantityError as error:
            self.fail(str(error), param, ctx)
        if number < self._least:
            self.fail(f"{value!r} is too little: at least {self._least:g}", param, ctx)
        return number
