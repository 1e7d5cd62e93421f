"""Commands that need more than the base installation."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import click


def require_extra(extra: str, command: str, modules: Sequence[str]) -> None:
    """Fail with how to install what is missing.

    Args:
        extra: optional dependency group of the package.
        command: that needs it.
        modules: top-level modules of the group.

    Raises:
        click.UsageError: one of them can't be imported.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise click.UsageError(f"{command} needs {', '.join(missing)}; from a checkout: pip install '.[{extra}]'")
