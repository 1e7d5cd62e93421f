"""`relay serve`: a gateway as one process, or as several workers that share a port."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from relay.cli.configured_gateway import reachable_netloc
from relay.cli.options import WRONG_SETTINGS, SettingsCommand, given_flags, load_settings, report
from relay.settings.problem import SettingsError

if TYPE_CHECKING:
    from relay.settings import Settings


@click.command("serve", cls=SettingsCommand)
def command(**flags: str | None) -> None:
    """Start a gateway.

    Every setting is an option here, a RELAY_* variable, or a line in .env. Options override variables, and these
    override .env.

    With RELAY_WORKERS it starts several processes on one port, and replaces those that end.

    With RELAY_TLS_CERT it uses TLS. It reads the certificate again on SIGHUP, or when its files change.

    SIGTERM or Ctrl-C drains: clients are told to leave, and everything that was accepted is published. A second
    signal ends the gateway at once.

    Exit codes: 0 drained; 1 could not start, or a worker could not drain; 2 invalid settings; 128 + N ended by a
    second signal N.
    """
    settings = load_settings(flags, files=True)
    # Only now: with wrong settings, or for help, none of this is needed.
    from relay.cli.gateway_process import run_gateway
    from relay.cli.supervisor_process import count_workers, run_workers
    from relay.logs import Logger, configure_logs, flush_logs
    from relay.settings import Settings
    from relay.settings.report import unknown_variables

    configure_logs(settings.log_level, settings.log_format)
    log = Logger("relay.serve")
    for unknown in unknown_variables(Settings):
        log.warning("unknown setting", variable=unknown.variable, source=unknown.source.value, nearest=unknown.nearest)
    workers = count_workers(settings)

    def started(port: int) -> None:
        # For the person at the terminal, below all log entries, which a thread writes; programs read the log.
        if sys.stderr.isatty() and settings.demo == "on" and flush_logs():
            click.echo(f"Open {playground_url(settings, port)}", err=True)

    try:
        code = run_gateway(settings, started) if workers == 1 else run_workers(settings, workers, started)
    except SettingsError as error:
        flush_logs()
        report(error.problems, given_flags(flags))
        code = WRONG_SETTINGS
    raise click.exceptions.Exit(code)


def playground_url(settings: Settings, port: int) -> str:
    """Return the address of the demo page for a browser on this machine.

    Args:
        settings: of the gateway.
        port: where it listens.
    """
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{reachable_netloc(settings.host[0], port)}/"
