"""The key or token with which a command comes in at a gateway, like any other client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

VARIABLE: Final = "RELAY_TOKEN"
"""Of the environment alone: a token in `.env` would be one that gateways have, too."""


class ClientToken(click.ParamType[str]):
    """A key or token; what is wrong with it is told without repeating it."""

    name = "token"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it without the line break of a file; fail when no header can carry it."""
        token = value.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            self.fail("a token has ASCII characters only, and no white space", param, ctx)
        return token


def token_option(command: Command) -> Command:
    """Add `--token` to a command that is a client of gateways."""
    return click.option(
        "--token",
        type=ClientToken(),
        envvar=VARIABLE,
        metavar="TOKEN",
        help=f"Key or token, for gateways with RELAY_AUTH. Other users of this machine can see options, but not the "
        f"variable.  [{VARIABLE}]",
    )(command)


def token_headers(token: str | None) -> dict[str, str]:
    """Return the headers that carry a token (RFC 6750, section 2.1); none without one."""
    return {"Authorization": f"Bearer {token}"} if token else {}
