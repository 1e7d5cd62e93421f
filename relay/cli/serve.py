"""`relay serve`: one gateway as a process."""

from __future__ import annotations

import click

from relay.cli.options import SettingsCommand, load_settings


@click.command("serve", cls=SettingsCommand)
def command(**flags: str | None) -> None:
    """Start a gateway.

    Every setting is an option here, a RELAY_* variable, or a line in .env, strongest first.

    SIGTERM or Ctrl-C drains: clients are told to go, and everything accepted is delivered. A second one ends at once.

    Exit codes: 0 drained; 1 could not start; 2 wrong settings; 128 + N ended by a second signal N.
    """
    settings = load_settings(flags)
    # Only now: with wrong settings, or for help, nothing of this is needed.
    from relay.cli.lifetime import run
    from relay.logs import Logger, configure_logs
    from relay.settings import Settings
    from relay.settings_report import unknown_variables

    configure_logs(settings.log_level, settings.log_format)
    log = Logger("relay.serve")
    for unknown in unknown_variables(Settings):
        log.warning("unknown setting", variable=unknown.variable, source=unknown.source.value, nearest=unknown.nearest)
    raise click.exceptions.Exit(run(settings))
