"""The command `relay`. Each subcommand is a module of this package that exports `command`.

Exit codes: 0 done; 1 it could not be done; 2 wrong usage or wrong settings; 128 + N ended by signal N (130: Ctrl-C).
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from relay.cli.streams import flush_output, is_unwritable, prepare_streams, silence, unwritable
from relay.version import __version__

COMMANDS: Final = {
    "serve": "Start a gateway.",
    "publish": "Send one message to a channel.",
    "history": "Print the messages that a channel keeps.",
    "presence": "Print who is on a channel.",
    "subscribe": "Print the messages of a channel as they come.",
    "loadtest": "Put a load on gateways, or on other WebSocket servers, and check every delivery.",
    "token": "Create a token for a client, or say what a token allows.",
    "health": "Say whether a gateway is ready for clients.",
    "config": "Show every setting, its value and where it comes from.",
    "check": "Say what these settings and this machine lack for production.",
}
"""Subcommand → its line in the help. Not in the modules, so that `relay --help` imports none of them."""

UNWRITABLE: Final = 1
INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is used."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line, with standard streams in any state; see `relay.cli.streams`."""
        prepare_streams()
        code: Any = 0
        try:
            try:
                return super().main(*args, **extra)
            except SystemExit as end:
                code = end.code
                raise
            finally:
                flush_output()
        except OSError as error:
            if not is_unwritable(error):
                raise
            if error.errno != errno.EPIPE:  # its reader is gone, and wants no message
                click.secho(f"relay: {unwritable(error)}", fg="red", err=True)
            silence(sys.stdout)
            raise SystemExit(code or UNWRITABLE) from None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Turn colours off where https://no-color.org asks for it."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all subcommands in the order of the help."""
        return list(COMMANDS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what a shell offers, without importing the subcommands: it asks at each press of the tab key."""
        found = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"relay.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand of a command line; the error for a mistyped one names the nearest."""
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands."""
        with formatter.section(click.style("Commands", bold=True)):
            formatter.write_dl([(click.style(name, fg="cyan"), line) for name, line in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; Ctrl-C ends it without a message, with the exit code that a shell expects."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Every setting is a RELAY_* variable, a line in .env, or a flag; `relay config` lists them.",
)
@click.version_option(__version__, prog_name="relay", message="%(prog)s %(version)s")
def main() -> None:
    """A WebSocket publish/subscribe relay: any client, any number of gateways, Redis as the bus."""
