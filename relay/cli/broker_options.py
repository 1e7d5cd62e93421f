"""The options of commands that speak with Redis themselves: which one, and whom to trust there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def broker_options(command: Command) -> Command:
    """Add `--broker-url`, `--broker-prefix` and `--broker-ca-file` to a command; they are names of settings."""
    for flag, metavar, meaning in (
        ("--broker-ca-file", "FILE", "Authority to trust for rediss://.  [RELAY_BROKER_CA_FILE]"),
        ("--broker-prefix", "TEXT", "Prefix of channels on Redis.  [RELAY_BROKER_PREFIX]"),
        ("--broker-url", "URL", "Use this Redis directly.  [RELAY_BROKER_URL]"),
    ):
        command = click.option(flag, metavar=metavar, help=meaning)(command)
    return command
