"""How a setting is declared."""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import Field

PREFIX: Final = "RELAY_"
"""Of the names of environment variables."""

Value = TypeVar("Value")


def setting(default: Value, group: str, meaning: str) -> Value:
    """Declare a setting of a section: a field of a class that `Settings` inherits from.

    Args:
        default: the value when it isn't set.
        group: the heading under which it is listed.
        meaning: one line, with the unit; at most 100 characters.
    """
    field: Value = Field(default, description=meaning, json_schema_extra={"group": group})
    return field
