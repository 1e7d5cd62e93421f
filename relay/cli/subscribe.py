"""`relay subscribe`: a live tail of a channel. Only the command: its help needs no event loop and no HTTP client."""

from __future__ import annotations

import click

from relay.cli.ca_file import CA_OPTION
from relay.cli.channel_url import ChannelArgument, PositionArgument, channel_trust, channel_url, events_url
from relay.cli.client_token import token_option


@click.command("subscribe")
@click.argument("channel", type=ChannelArgument())
@click.option("--gateway", metavar="URL", help="Gateway to listen to; default: the one of RELAY_HOST and RELAY_PORT.")
@CA_OPTION
@token_option
@click.option(
    "--history",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin with the newest N messages.",
)
@click.option("--since", type=PositionArgument(), metavar="POSITION", help="Begin with all messages after a position.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
def command(
    channel: str,
    gateway: str | None,
    ca_file: str | None,
    token: str | None,
    history: int | None,
    since: str | None,
    count: int | None,
) -> None:
    """Print the messages of a channel as they come.

    It prints one message a line, until Ctrl-C. It escapes control characters; for a binary message it shows the size
    and the first bytes. When the connection breaks it connects again, and says so on standard error; it doesn't show
    messages of the time between. With --history or --since it does, if the channel keeps them, and says on standard
    error if messages may still be missing.

    Exit codes: 0 after N messages, or when no program reads the output any more; 1 refused by the gateway; 2 wrong
    usage or invalid settings; 130 Ctrl-C.
    """
    from relay.cli.event_tail import EventTail
    from relay.cli.interruption import run_interruptible
    from relay.cli.tail import Tail
    from relay.cli.unreachable import GatewayError

    if history is not None and since is not None:
        raise click.UsageError("--history and --since say two things about where to begin: give one of them")
    url, trust = channel_url(gateway, channel), channel_trust(gateway, ca_file)
    if history is None and since is None:
        tail = Tail(url, count, token, trust)
    else:
        tail = EventTail(events_url(url), count, token, trust, history=history or 0, position=since)
    try:
        run_interruptible(tail.run)
    except GatewayError as error:
        click.secho(f"relay: {error}", fg="red", err=True)
        raise click.exceptions.Exit(1) from None
