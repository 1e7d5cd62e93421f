"""`relay publish`: one message, straight to Redis or through a gateway."""

from __future__ import annotations

import os
import sys

import click

from relay.attributes import AttributesError, encode_tags
from relay.brokers import schemes
from relay.cli.broker_options import broker_options
from relay.cli.ca_file import CA_OPTION
from relay.cli.channel_url import ChannelArgument, channel_trust, channel_url
from relay.cli.client_token import token_option
from relay.cli.options import load_settings
from relay.cli.streams import confirm
from relay.idempotency_key import IdempotencyKeyError, check_idempotency_key
from relay.settings import Settings

NOT_DELIVERED = 1


class IdempotencyKeyOption(click.ParamType[str]):
    """A key by which a message is known when it is sent again."""

    name = "key"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the key, or fail with the rule that it breaks."""
        try:
            return check_idempotency_key(value)
        except IdempotencyKeyError as error:
            self.fail(str(error), param, ctx)


class TagOption(click.ParamType[tuple[str, str]]):
    """A tag of a message."""

    name = "tag"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return its name and its text."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is no NAME=TEXT", param, ctx)
        return name, text


def _read_tags(ctx: click.Context, param: click.Parameter, given: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return tags by name, or fail with the rule that they break."""
    tags = dict(given)
    try:
        encode_tags(tags)
    except AttributesError as error:
        raise click.BadParameter(error.rule, ctx, param) from None
    if len(tags) < len(given):
        raise click.BadParameter("a message has one tag of a name", ctx, param)
    return tags


@click.command("publish")
@click.argument("channel", type=ChannelArgument())
@click.argument("message", required=False)
@click.option("--binary", is_flag=True, help="Send a binary message; the input is sent unchanged.")
@click.option("--gateway", metavar="URL", help="Send through this gateway, such as ws://127.0.0.1:8000.")
@CA_OPTION
@token_option
@click.option(
    "--idempotency-key",
    type=IdempotencyKeyOption(),
    metavar="KEY",
    help="Key of the message: a second message with the same key isn't published.",
)
@click.option(
    "--tag",
    "tags",
    type=TagOption(),
    callback=_read_tags,
    multiple=True,
    metavar="NAME=TEXT",
    help="Tag of the message, for clients whose protocol has tags; repeatable. Only with Redis.",
)
@broker_options
def command(
    channel: str,
    message: str | None,
    binary: bool,
    gateway: str | None,
    ca_file: str | None,
    token: str | None,
    idempotency_key: str | None,
    tags: dict[str, str],
    **broker: str | None,
) -> None:
    """Send one message to a channel.

    Without MESSAGE, or with "-", the command reads the message from standard input, and removes the last line break
    of a text. With a Redis broker it sends the message directly to Redis, and prints how many gateways heard it.
    Otherwise it sends it through the gateway of --gateway, or of RELAY_HOST and RELAY_PORT, and waits until it is
    published. Only a gateway needs a token. With --idempotency-key it tries again after an error, for some seconds.

    Exit codes: 0 sent; 1 not delivered; 2 wrong usage or invalid settings.
    """
    if gateway is not None and any(value is not None for value in broker.values()):
        raise click.UsageError("--gateway and the --broker options exclude each other")
    settings = None if gateway is not None else load_settings(broker)
    payload = _read(message, binary)
    if settings is not None and schemes.find(settings.broker_url).redis:
        _by_redis(settings, channel, payload, idempotency_key, tags)
    elif tags:
        raise click.UsageError(
            "--tag goes straight to Redis: name one with --broker-url. At a gateway, the server API takes tags"
        )
    else:
        _by_gateway(gateway, ca_file, channel, payload, token, idempotency_key)


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


def _by_redis(
    settings: Settings, channel: str, payload: str | bytes, idempotency_key: str | None, tags: dict[str, str]
) -> None:
    from relay import Publisher
    from relay.errors import PublishError

    try:
        with Publisher(
            settings.broker_url,
            prefix=settings.broker_prefix,
            ca_file=settings.broker_ca_file,
            timeout=settings.broker_timeout,
        ) as publisher:
            heard = publisher.publish(channel, payload, idempotency_key=idempotency_key, tags=tags)
    except PublishError as error:
        _fail(channel, str(error))
    if heard:
        confirm(f"heard by {heard} gateway{'s' if heard > 1 else ''}")
    else:
        confirm(f"heard by no client: no gateway has a subscriber of {channel}")


def _by_gateway(
    gateway: str | None,
    ca_file: str | None,
    channel: str,
    payload: str | bytes,
    token: str | None,
    idempotency_key: str | None,
) -> None:
    from relay.cli.delivery import deliver, deliver_once
    from relay.cli.interruption import run_interruptible
    from relay.cli.unreachable import GatewayError

    url = channel_url(gateway, channel, echo=True)
    tls = channel_trust(gateway, ca_file)
    try:
        if idempotency_key is None:
            run_interruptible(lambda: deliver(url, payload, token, tls))
        else:
            run_interruptible(lambda: deliver_once(url, channel, payload, idempotency_key, token, tls))
    except GatewayError as error:
        _fail(channel, str(error))
    # Only an echo shows that it is delivered.
    confirm(f"{'delivered' if idempotency_key is None else 'published'} by {url.origin()}")


def _fail(channel: str, reason: str) -> None:
    click.secho(f"relay: not delivered to {channel}: {reason}", fg="red", err=True)
    raise click.exceptions.Exit(NOT_DELIVERED)
