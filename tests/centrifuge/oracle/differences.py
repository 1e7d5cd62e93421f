"""Where the relay answers otherwise than Centrifugo, on purpose. docs/centrifuge.md prints the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Difference:
    """One deliberate difference. Every script that is named has to show it.

    Args:
        reason: a sentence for the documentation.
        scripts: themes and names.
        path: pattern of the fields: `*` stands for anything.
    """

    reason: str
    scripts: tuple[str, ...]
    path: str


DIFFERENCES: Final[tuple[Difference, ...]] = ()
