"""The gateway of this machine's settings, as a client on this machine reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relay.cli.options import load_settings

if TYPE_CHECKING:
    from relay.settings import Settings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def own_gateway(option: str) -> tuple[str, Settings]:
    """Return where a gateway with the settings of this environment listens, as `HOST:PORT`, and these settings.

    Args:
        option: how to name another one, for the message when its port can't be known.

    Raises:
        click.UsageError: the port is any free one.
    """
    settings = load_settings({})
    if settings.port == 0:
        raise click.UsageError(f"RELAY_PORT is 0, any free port: say which gateway with {option}")
    return place(settings.host[0], settings.port), settings


def place(host: str, port: int) -> str:
    """Return `HOST:PORT` as it stands in a URL; of an address that means all of them, the loopback's."""
    host = _ANYWHERE.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
