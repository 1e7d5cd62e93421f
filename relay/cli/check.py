"""`relay check`: what these settings and this machine lack for production."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from relay.cli.options import SettingsCommand, given_flags, load_settings

if TYPE_CHECKING:
    from relay.checks.table import Item
    from relay.checks.verdict import Verdict

MISSING: Final = 1

_COLORS: Final = {"ok": "green", "unknown": "cyan", "warning": "yellow", "missing": "red"}

_LEAST_COLUMNS: Final = 60


@click.command("check", cls=SettingsCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects.")
def command(as_json: bool, **flags: str | None) -> None:
    """Say what these settings and this machine lack for production.

    It takes the same settings as `relay serve`. Run it where the gateway will run, as the same user. It starts no
    gateway. It asks Redis, and changes nothing there.

    It prints one line for each item: ok, missing, warning (this may be intended), or unknown (it can't be checked
    from here). docs/production.md has the reason for each item under its name.

    Exit codes: 0 nothing is missing; 1 something is missing; 2 invalid settings.
    """
    settings = load_settings(flags, files=True)
    # Only now: with wrong settings, or for help, none of this is needed.
    from relay.checks.table import judge_all
    from relay.checks.verdict import State
    from relay.cli.check_facts import gather

    found = judge_all(gather(settings, given_flags(flags)))
    if as_json:
        click.echo(json.dumps([_entry(item, verdict) for item, verdict in found], indent=2))
    else:
        _print(found)
    count = Counter(verdict.state for _, verdict in found)
    summary = ", ".join(f"{state.value} {count[state]}" for state in reversed(State))
    click.secho(f"relay: {summary}", bold=True, err=True)
    if count[State.MISSING]:
        raise click.exceptions.Exit(MISSING)


def _entry(item: Item, verdict: Verdict) -> dict[str, str]:
    return {"item": item.name, "state": verdict.state.value, "reason": verdict.reason, "why": item.anchor}


def _print(found: list[tuple[Item, Verdict]]) -> None:
    """Print one line for each item; on a terminal as several, indented, where it is narrow."""
    width = max(len(item.name) for item, _ in found)
    for item, verdict in found:
        state = verdict.state.value
        text = verdict.reason if state == "ok" else f"{verdict.reason} ({item.anchor})"
        name = item.name.ljust(width)
        begin = len(f"{'':9}{name}  ")
        if sys.stdout.isatty():
            columns = max(_LEAST_COLUMNS, shutil.get_terminal_size().columns - begin)
            text = f"\n{'':{begin}}".join(textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False))
        click.echo(f"{click.style(state, fg=_COLORS[state])}{'':{9 - len(state)}}{name}  {text}")
