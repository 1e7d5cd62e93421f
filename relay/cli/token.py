"""`relay token`: its options and arguments."""

from __future__ import annotations

import math
import secrets
import sys
from pathlib import Path
from typing import Any, Final

import click

from relay.cli.options import SettingsCommand, load_settings
from relay.cli.quantity import Quantity
from relay.loadtest.units.parsing import parse_duration

REFUSED: Final = 1

SECRET_BYTES: Final = 48
"""Of a new secret: 64 characters, which are enough for HS512, too."""

_SETTINGS: Final = (
    "auth",
    "rights",
    "jwt_secret",
    "jwt_previous_secret",
    "jwks_url",
    "jwt_public_key",
    "jwt_issuer",
    "jwt_audience",
    "jwt_leeway",
    "jwt_expiry",
)


class Lifetime(Quantity):
    """How long a token is valid; infinity for `never`."""

    def __init__(self) -> None:
        super().__init__("duration", parse_duration, 1.0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds, or fail with the allowed forms."""
        return math.inf if value == "never" else super().convert(value, param, ctx)


@click.command("token", cls=SettingsCommand, settings=_SETTINGS)
@click.option("--user", metavar="NAME", help="Name of the client's user; {sub} in patterns stands for it.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="PATTERN=LETTERS",
    help="What the client may do where, such as 'chat:*=rw': r subscribe, w publish, p presence, h history; "
    "repeatable. With --check a CHANNEL to ask about.",
)
@click.option(
    "--subscribe",
    "subscribed",
    multiple=True,
    metavar="CHANNEL",
    help="Subscribe Centrifuge clients with this token to this channel when they connect; repeatable.",
)
@click.option(
    "--subscription",
    metavar="CHANNEL",
    help="Create a token with which a Centrifuge client may subscribe to this channel, whatever its rights. With "
    "--check, check one, for --user.",
)
@click.option(
    "--ttl",
    type=Lifetime(),
    default="1h",
    show_default=True,
    help="How long it is valid, or never: it doesn't expire.",
)
@click.option(
    "--lasts",
    type=Lifetime(),
    help="How long the connection, or the subscription, lasts, or never: it doesn't end.  [default: as --ttl]",
)
@click.option("--info", metavar="JSON", help="What presence shows of the client.")
@click.option(
    "--private-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sign with this key in PEM instead of RELAY_JWT_SECRET: RSA, P-256, P-384, P-521 or Ed25519.",
)
@click.option("--kid", metavar="ID", help="Name of the key, if an issuer has several.")
@click.option("--algorithm", metavar="NAME", help="Such as HS512 or PS256.  [default: HS256, or that of the key]")
@click.option(
    "--check",
    "checked",
    metavar="TOKEN",
    help='Say what a token allows, or why it is refused. "-" reads it from standard input.',
)
@click.option("--new-secret", is_flag=True, help="Print a new random secret for RELAY_JWT_SECRET, and nothing else.")
def command(
    channels: tuple[str, ...],
    subscribed: tuple[str, ...],
    subscription: str | None,
    checked: str | None,
    new_secret: bool,
    private_key: Path | None,
    **options: Any,
) -> None:
    """Create a token for a client, or say what a token allows.

    Only the token goes to standard output, so you can write TOKEN=$(relay token ...); warnings go to standard error.
    The command signs the token with RELAY_JWT_SECRET, for RELAY_JWT_ISSUER and the first of RELAY_JWT_AUDIENCE.

    With --check it checks a token as a gateway with these settings does, and explains the result. With RELAY_JWKS_URL
    it fetches the issuer's keys.

    Exit codes: 0 created, or accepted; 1 refused, or no right to a given CHANNEL; 2 wrong usage or invalid settings.
    """
    if new_secret:
        click.echo(secrets.token_urlsafe(SECRET_BYTES))
        return
    own = {name: options.pop(name) for name in ("user", "ttl", "lasts", "info", "kid", "algorithm")}
    settings = load_settings(options)
    if checked is not None:
        from relay.cli.token_check import check_subscription, check_token

        if subscription is None:
            accepted = check_token(_read(checked), channels, settings)
        else:
            accepted = check_subscription(_read(checked), subscription, own["user"], settings)
        if not accepted:
            raise click.exceptions.Exit(REFUSED)
        return
    from relay.cli.new_token import make_token

    click.echo(make_token(settings, private_key, channels, subscribed, subscription, **own))


def _read(given: str) -> str:
    """Return the token, from the argument or from standard input."""
    if given == "-":
        if sys.stdin is None:
            raise click.UsageError("standard input is closed: give the token as an argument")
        if sys.stdin.isatty():
            click.echo("relay: paste the token, then Ctrl-D", err=True)
        given = sys.stdin.buffer.read().decode(errors="replace")
    return given.strip()
