"""`relay presence`: who is on a channel, straight from Redis."""

from __future__ import annotations

import click

from relay.brokers import schemes
from relay.cli.broker_options import broker_options
from relay.cli.channel_url import ChannelArgument
from relay.cli.options import load_settings

NOT_READ = 1


@click.command("presence")
@click.argument("channel", type=ChannelArgument())
@click.option("--stats", is_flag=True, help="Print only the number of clients.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer of the server API's method.")
@broker_options
def command(channel: str, stats: bool, as_json: bool, **broker: str | None) -> None:
    """Print who is on a channel.

    It prints the clients on all gateways, one a line: id, user and info, or `-` if there is none. It escapes control
    characters. The number of clients goes to standard error, or with --stats to standard output. For a channel without
    presence it shows no clients.

    Exit codes: 0 success; 1 Redis can't be read, or there are too many clients to list; 2 wrong usage or invalid
    settings; 130 Ctrl-C.
    """
    settings = load_settings(broker)
    if not schemes.find(settings.broker_url).redis:
        raise click.UsageError(
            f"{settings.broker_url} keeps presence within its gateway: ask that by its server API, POST /api/presence, "
            "or name a Redis with --broker-url"
        )

    from relay.brokers.presence import PresenceError, TooManyMembers
    from relay.cli.interruption import run_interruptible
    from relay.cli.present_clients import read, read_stats, show, show_stats

    try:
        if stats:
            show_stats(run_interruptible(lambda: read_stats(settings, channel)), as_json)
        else:
            show(run_interruptible(lambda: read(settings, channel)), as_json)
    except PresenceError as error:
        more = "; --stats tells how many" if isinstance(error, TooManyMembers) else ""
        click.secho(f"relay: no presence of {channel}: {error}{more}", fg="red", err=True)
        raise click.exceptions.Exit(NOT_READ) from None
