"""`relay publish`: one message, straight to Redis or through a gateway."""

from __future__ import annotations

import os
import sys

import click

from relay.brokers import schemes
from relay.cli.ca_file import CA_OPTION
from relay.cli.channel_url import ChannelArgument, channel_trust, channel_url
from relay.cli.client_token import token_option
from relay.cli.options import load_settings
from relay.cli.streams import confirm
from relay.settings import Settings

NOT_DELIVERED = 1


@click.command("publish")
@click.argument("channel", type=ChannelArgument())
@click.argument("message", required=False)
@click.option("--binary", is_flag=True, help="Send a binary message; input is taken as it is.")
@click.option("--gateway", metavar="URL", help="Send through this gateway, such as ws://127.0.0.1:8000.")
@CA_OPTION
@token_option
@click.option("--broker-url", metavar="URL", help="Send straight to this Redis.  [RELAY_BROKER_URL]")
@click.option("--broker-prefix", metavar="TEXT", help="Prefix of channels on Redis.  [RELAY_BROKER_PREFIX]")
@click.option("--broker-ca-file", metavar="FILE", help="Authority to trust for rediss://.  [RELAY_BROKER_CA_FILE]")
def command(
    channel: str,
    message: str | None,
    binary: bool,
    gateway: str | None,
    ca_file: str | None,
    token: str | None,
    **broker: str | None,
) -> None:
    """Send one message to a channel.

    Without MESSAGE, or with "-", it is read from standard input; a text loses the last line break. With a Redis
    broker it goes straight to Redis, and the answer is how many gateways heard it. Otherwise it goes through the
    gateway of --gateway, or of RELAY_HOST and RELAY_PORT, and the answer comes when it was handed to the channel. Only
    a gateway asks for a token.

    Exit codes: 0 sent; 1 not delivered; 2 wrong usage or settings.
    """
    if gateway is not None and any(value is not None for value in broker.values()):
        raise click.UsageError("--gateway and the --broker options exclude each other")
    settings = None if gateway is not None else load_settings(broker)
    payload = _read(message, binary)
    if settings is not None and schemes.find(settings.broker_url).redis:
        _by_redis(settings, channel, payload)
    else:
        _by_gateway(gateway, ca_file, channel, payload, token)


def _read(message: str | None, binary: bool) -> str | bytes:
    """Return the payload, from the argument or from standard input."""
    if message is not None and message != "-":
        data = os.fsencode(message)
    else:
        if sys.stdin is None:
            raise click.UsageError("standard input is closed: give the message as an argument")
        if sys.stdin.isatty():
            click.echo("relay: type the message, then Ctrl-D", err=True)
        data = sys.stdin.buffer.read()
        if not binary:
            data = data.removesuffix(b"\n").removesuffix(b"\r")
    if binary:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise click.UsageError("the message is not UTF-8: send it with --binary") from None


def _by_redis(settings: Settings, channel: str, payload: str | bytes) -> None:
    from relay import Publisher
    from relay.errors import PublishError

    try:
        with Publisher(
            settings.broker_url,
            prefix=settings.broker_prefix,
            ca_file=settings.broker_ca_file,
            timeout=settings.broker_timeout,
        ) as publisher:
            heard = publisher.publish(channel, payload)
    except PublishError as error:
        _fail(channel, str(error))
    if heard:
        confirm(f"heard by {heard} gateway{'s' if heard > 1 else ''}")
    else:
        confirm(f"heard by nobody: no gateway has a subscriber of {channel}")


def _by_gateway(
    gateway: str | None, ca_file: str | None, channel: str, payload: str | bytes, token: str | None
) -> None:
    from relay.cli.delivery import deliver
    from relay.cli.interruption import run_interruptible
    from relay.cli.unreachable import GatewayError

    url = channel_url(gateway, channel, echo=True)
    tls = channel_trust(gateway, ca_file)
    try:
        run_interruptible(lambda: deliver(url, payload, token, tls))
    except GatewayError as error:
        _fail(channel, str(error))
    confirm(f"delivered by {url.origin()}")


def _fail(channel: str, reason: str) -> None:
    click.secho(f"relay: not delivered to {channel}: {reason}", fg="red", err=True)
    raise click.exceptions.Exit(NOT_DELIVERED)
