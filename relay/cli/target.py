"""Where a client command finds a channel: the WebSocket URL of a gateway."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import click
from yarl import URL

from relay.channel import check_channel
from relay.cli.own_gateway import own_gateway
from relay.errors import ChannelError

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class Channel(click.ParamType[str]):
    """A legal channel name, checked before anything is connected."""

    name = "channel"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with the rule that it breaks."""
        try:
            return check_channel(value)
        except ChannelError as error:
            self.fail(str(error), param, ctx)


def channel_url(gateway: str | None, channel: str, *, echo: bool = False) -> URL:
    """Return the WebSocket URL of a channel.

    Args:
        gateway: URL of a gateway, with or without a path before `/ws`; None: the one of this machine's settings.
        channel: legal name of a channel.
        echo: whether the client's own messages come back to it.

    Raises:
        click.UsageError: there is no such URL.
    """
    base = f"ws://{own_gateway('--gateway ws://host:port')[0]}" if gateway is None else gateway
    try:
        parts = urlsplit(base)
        _ = parts.port
    except ValueError as error:
        raise click.UsageError(f"--gateway {base!r}: {error}") from None
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise click.UsageError(f"--gateway {base!r}: must look like ws://host:8000 or wss://host")
    path = parts.path.rstrip("/").removesuffix("/ws")
    # Encoded here, slashes too: a URL library would tidy up a channel such as "a/../b".
    text = f"{_SCHEMES[parts.scheme]}://{parts.netloc}{path}/ws/{quote(channel, safe=':')}{'?echo=1' if echo else ''}"
    return URL(text, encoded=True)
