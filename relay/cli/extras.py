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
    if any(find_spec(module) is None for module in modules):
        raise click.UsageError(
            f"{command} needs the extra {extra!r}: pip install 'relay-pubsub[{extra}]', "
            f"or in a checkout: pip install '.[{extra}]'"
        )
