"""The extras of the package: optional dependencies that a command needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import click


def require_extra(extra: str, command: str, modules: Sequence[str]) -> None:
    """Check that the modules of an extra are installed.

    Args:
        extra: optional dependency group of the package.
        command: that needs it.
        modules: top-level modules of the extra.

    Raises:
        click.UsageError: one of them is missing; the message says how to install the extra.
    """
    if any(find_spec(module) is None for module in modules):
        raise click.UsageError(
            f"{command} needs the extra {extra!r}: pip install 'relay-pubsub[{extra}]', "
            f"or in a checkout: pip install '.[{extra}]'"
        )
