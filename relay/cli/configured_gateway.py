"""The gateway of this machine's settings: where commands find it that are given no address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from relay.settings import Settings

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound
"""Host that means all addresses → the one at which a client on this machine reaches it."""


def configured_gateway(option: str) -> tuple[str, Settings]:
    """Return the `HOST:PORT` of a gateway with the settings of this environment, and these settings.

    Args:
        option: that names another gateway, for the message when the port can't be known.

    Raises:
        click.UsageError: the port is any free one.
    """
    # Only here: loading settings takes longer than everything else that `relay health` does.
    from relay.cli.options import load_settings

    settings = load_settings({})
    if settings.port == 0:
        raise click.UsageError(f"RELAY_PORT is 0, any free port: say which gateway with {option}")
    return reachable_netloc(settings.host[0], settings.port), settings


def reachable_netloc(host: str, port: int) -> str:
    """Return `HOST:PORT` as it is written in a URL, with the loopback address for a host that means all addresses."""
    host = _LOOPBACK.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
