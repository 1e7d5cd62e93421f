"""The WebSocket URL of a channel, whom to trust there, and the command-line argument that names a channel."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import quote

import click
from yarl import URL

from relay.channel import check_channel
from relay.cli.ca_file import trust
from relay.cli.configured_gateway import configured_gateway
from relay.errors import ChannelError
from relay.position import PositionError, parse_position
from relay.redaction import cut_queries
from relay.sdk.gateway_address import AddressError, GatewayAddress
from relay.system_error import in_words

_OPTION: Final = "--gateway ws://host:port"

_ADDRESSES: Final = ("ws://", "wss://", "http://", "https://")


class ChannelArgument(click.ParamType[str]):
    """The name of a channel, checked before anything is connected."""

    name = "channel"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with the rule that it breaks.

        An address would be a legal name, too, but is never meant as one: the command would wait there for ever.
        """
        if value.startswith(_ADDRESSES):
            # Without its query, which may hold a token.
            self.fail(f"{cut_queries(value)!r} is an address, not a channel: write {_as_options(value)}", param, ctx)
        try:
            return check_channel(value)
        except ChannelError as error:
            self.fail(str(error), param, ctx)


class PositionArgument(click.ParamType[str]):
    """A position of a channel's history."""

    name = "position"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it, or fail with the rule."""
        try:
            return str(parse_position(value))
        except PositionError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def _as_options(address: str) -> str:
    """Return the arguments to write instead of an address that was given as a channel."""
    try:
        gateway = GatewayAddress.parse(address)
    except AddressError:
        return "CHANNEL --gateway URL"
    return f"{gateway.channel or 'CHANNEL'} --gateway {gateway.base}"


def channel_url(gateway: str | None, channel: str, *, echo: bool = False) -> URL:
    """Return the WebSocket URL of a channel.

    Args:
        gateway: address of a gateway, with or without a path in front of `/ws`, and an endpoint; None: the gateway of
            this environment's settings.
        channel: legal name of a channel.
        echo: whether the client's own messages come back to it.

    Raises:
        click.UsageError: there is no such URL, or the address names another channel.
    """
    if gateway is None:
        netloc, settings = configured_gateway(_OPTION)
        gateway = f"{'ws' if settings.tls_cert is None else 'wss'}://{netloc}"
    try:
        address = GatewayAddress.parse(gateway)
    except AddressError as error:
        raise click.UsageError(f"--gateway {gateway!r}: {error}") from None
    if address.channel not in (None, channel):
        raise click.UsageError(
            f"--gateway {gateway!r} names the channel {address.channel!r}, and the command {channel!r}: "
            f"for the latter write --gateway {address.base}"
        )
    # Encoded here, slashes too: a URL library would normalize a channel such as "a/../b".
    return URL(f"{address.base}/ws/{quote(channel, safe=':')}{'?echo=1' if echo else ''}", encoded=True)


def events_url(channel: URL) -> URL:
    """Return where the messages of a channel come as server-sent events.

    Args:
        channel: what `channel_url` has returned.
    """
    base, _, name = str(channel).rpartition("/ws/")  # encoded, a name has no slashes
    return URL(f"{base.replace('ws', 'http', 1)}/sse/{name}", encoded=True)


def channel_trust(gateway: str | None, ca_file: str | None) -> ssl.SSLContext:
    """Return what a client needs for TLS with a gateway.

    The gateway of this environment's settings is called by an address, which its certificate need not have, but it has
    to show the certificate of these settings: the port might be another program's while the gateway is away.

    Args:
        gateway: as for `channel_url`.
        ca_file: authority to trust; None: those of the system.

    Raises:
        click.UsageError: the certificate of the settings can't be read.
    """
    own = configured_gateway(_OPTION)[1].tls_cert if gateway is None and ca_file is None else None
    try:
        return trust(own or ca_file, any_name=own is not None)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"RELAY_TLS_CERT: {own!r} can't be read: {in_words(error)}") from None
