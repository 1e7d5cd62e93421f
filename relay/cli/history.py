"""`relay history`: the messages that a channel keeps, straight from Redis."""

from __future__ import annotations

import click

from relay.brokers import schemes
from relay.cli.broker_options import broker_options
from relay.cli.channel_url import ChannelArgument
from relay.cli.options import load_settings
from relay.position import Position, PositionError, parse_position

NOT_READ = 1


class PositionOption(click.ParamType[Position]):
    """A place in a history, as the relay has told it."""

    name = "position"

    def convert(self, value: str | Position, param: click.Parameter | None, ctx: click.Context | None) -> Position:
        """Return the position, or fail with the rule that it breaks."""
        if isinstance(value, Position):
            return value
        try:
            return parse_position(value)
        except PositionError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command("history")
@click.argument("channel", type=ChannelArgument())
@click.option("--since", type=PositionOption(), metavar="EPOCH:OFFSET", help="Print the messages after this position.")
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="Print at most N messages; 0: only the position."
)
@click.option(
    "--reverse", is_flag=True, help="Print the newest first; with --since, the messages before that position."
)
@click.option("--json", "as_json", is_flag=True, help="Print what the server API's method `history` answers.")
@broker_options
def command(
    channel: str, since: Position | None, limit: int | None, reverse: bool, as_json: bool, **broker: str | None
) -> None:
    """Print the messages that a channel keeps.

    It prints one message a line, after its offset: all kept messages, the oldest first. It escapes control characters;
    for a binary message it shows the size and the first bytes. The position of the newest message goes to standard
    error.

    Exit codes: 0 success; 1 the channel keeps no messages, Redis can't be read, or the position is no longer valid; 2
    wrong usage or invalid settings; 130 Ctrl-C.
    """
    settings = load_settings(broker)
    if not schemes.find(settings.broker_url).redis:
        raise click.UsageError(
            f"{settings.broker_url} keeps histories within its gateway: ask that by its server API, POST /api/history, "
            "or name a Redis with --broker-url"
        )
    if since is not None and reverse and not since.offset:
        raise click.UsageError("--reverse: nothing comes before the offset 0")

    from relay.brokers.history import HistoryError
    from relay.cli.history_pages import Question, read, show
    from relay.cli.interruption import run_interruptible

    question = Question(channel, since, limit, reverse)
    try:
        page = run_interruptible(lambda: read(settings, question))
    except HistoryError as error:
        click.secho(f"relay: no history of {channel}: {error}", fg="red", err=True)
        raise click.exceptions.Exit(NOT_READ) from None
    show(question, page, as_json)
