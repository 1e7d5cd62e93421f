"""`relay config`: every setting with its value, source, type and meaning."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import click
import msgspec

from relay.cli import namespace_table
from relay.cli.options import WRONG_SETTINGS, SettingsCommand, given_flags, report
from relay.cli.usable_settings import UsableSettings
from relay.namespaces import ChannelOptions
from relay.redaction import escape_controls, mask_credentials
from relay.settings import Settings
from relay.settings.namespace_values import NamespacesFile
from relay.settings.problem import SettingProblem, SettingsError
from relay.settings.report import Description, SettingSource, describe, sources, unknown_variables
from relay.settings.tls import check_files
from relay.settings.values import show

_HEADINGS = ("variable", "value", "source", "type", "meaning")
_COLORS = {
    SettingSource.DEFAULT: "dim",
    SettingSource.ENV_FILE: "green",
    SettingSource.ENVIRONMENT: "green",
    SettingSource.FLAG: "yellow",
}


@click.command("config", cls=SettingsCommand)
@click.option("--json", "form", flag_value="json", help="As JSON.")
@click.option("--env", "form", flag_value="env", help="A .env file to start from: all defaults, as comments.")
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown table of all settings and defaults.")
def command(form: str | None, **flags: str | None) -> None:
    """Show every setting, its value and where it comes from.

    It takes the same options as `relay serve`, so you can try them out. It masks passwords. It prints a table on a
    terminal, and plain columns in a pipe.

    It marks invalid settings, and lists them on standard error, with the given and the allowed values.

    Exit codes: 0; 2 if settings are invalid.
    """
    if form in ("env", "markdown"):
        click.echo(_env_file() if form == "env" else _markdown())
        return
    given = given_flags(flags)
    wrong: dict[str, SettingProblem] = {}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # text: pydantic reads it
        check_files(settings)
    except SettingsError as error:
        settings = UsableSettings(given)
        wrong = _by_variable(error.problems)
        report(error.problems, given)
    else:
        for unknown in unknown_variables(Settings):
            click.secho(f"relay: {unknown}", fg="yellow", err=True)
    origins = sources(Settings, given)
    if form == "json":
        entries = [_entry(settings, setting, origins[setting.name], wrong) for setting in describe(Settings)]
        click.echo(json.dumps(entries, indent=2, default=_plain))
    elif sys.stdout.isatty():
        _print_table(settings, origins, wrong)
    else:
        click.echo(_columns(settings, origins, wrong))
    if wrong:
        raise click.exceptions.Exit(WRONG_SETTINGS)


def _plain(value: object) -> object:
    """Return a value of a type that JSON hasn't: options of a namespace as an object, secrets as a mask."""
    return msgspec.to_builtins(value) if isinstance(value, ChannelOptions) else show(value)


def _by_variable(problems: Iterable[SettingProblem]) -> dict[str, SettingProblem]:
    """Return one problem for each variable: those of its parts in one line."""
    found: dict[str, SettingProblem] = {}
    for problem in problems:
        part = f"{problem.part}: " if problem.part else ""
        given, allowed = part + problem.given, part + problem.allowed
        if (first := found.get(problem.variable)) is not None:
            given, allowed = f"{first.given}; {given}", f"{first.allowed}; {allowed}"
        found[problem.variable] = SettingProblem(problem.variable, given, allowed, problem.located)
    return found


def _entry(
    settings: Settings, setting: Description, origin: SettingSource, wrong: Mapping[str, SettingProblem]
) -> dict[str, object]:
    value = getattr(settings, setting.name)
    problem = wrong.get(setting.variable)
    found: dict[str, object] = {}
    if problem is not None:
        found["wrong"] = {"given": problem.given, "allowed": problem.allowed}
    if problem is not None:
        value = None
    if isinstance(value, NamespacesFile):
        found["namespaces"] = value.named
    return {
        "variable": setting.variable,
        "value": mask_credentials(value) if isinstance(value, str) else value,
        **found,
        "source": origin.value,
        "type": setting.kind.name,
        "allowed": setting.kind.rule,
        "default": setting.default,
        "group": setting.group,
        "meaning": setting.meaning,
    }


def _cells(
    settings: Settings, setting: Description, origin: SettingSource, wrong: Mapping[str, SettingProblem]
) -> tuple[str, ...]:
    if (problem := wrong.get(setting.variable)) is not None:
        return (setting.variable, problem.given, origin.value, "wrong", f"allowed: {problem.allowed}")
    kind = setting.kind.rule if setting.kind.name == "choice" else setting.kind.name
    return (setting.variable, show(getattr(settings, setting.name)), origin.value, kind, setting.meaning)


def _columns(settings: Settings, origins: dict[str, SettingSource], wrong: Mapping[str, SettingProblem]) -> str:
    """Return aligned columns without colours, nothing cut; below them those of namespaces."""
    rows = [_HEADINGS, *(_cells(settings, setting, origins[setting.name], wrong) for setting in describe(Settings))]
    text = _aligned(rows)
    named = namespace_table.rows(settings)
    return f"{text}\n\n{_aligned([namespace_table.HEADINGS, *named])}" if named else text


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _print_table(settings: Settings, origins: dict[str, SettingSource], wrong: Mapping[str, SettingProblem]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*_HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[3].max_width = 14
    for group, members in groupby(describe(Settings), key=lambda setting: setting.group):
        table.add_row(Text(group, style="bold"))
        for setting in members:
            # Text, not markup: a value may hold square brackets.
            variable, value, source, kind, meaning = _cells(settings, setting, origins[setting.name], wrong)
            style = "bold red" if setting.variable in wrong else _COLORS[origins[setting.name]]
            table.add_row(
                Text(f"  {variable}", "cyan"),
                Text(value, style),
                Text(source, style),
                Text(
                    kind.replace("|", " | "), style if setting.variable in wrong else ""
                ),  # with room for a line break
                Text(meaning),
            )
        table.add_section()
    console = Console()
    console.print(table)
    if named := namespace_table.rows(settings):
        namespaces = Table(*namespace_table.HEADINGS, box=SIMPLE_HEAD, pad_edge=False)
        for name, *cells in named:
            namespaces.add_row(Text(name, "cyan"), *cells)
        console.print(namespaces)


def _env_file() -> str:
    """Return a `.env` file in which every setting is a comment with its default."""
    lines = ["# Settings of relay. Remove the # before a name to set it; the environment and flags are stronger."]
    for group, members in groupby(describe(Settings), key=lambda setting: setting.group):
        lines += ["", f"## {group}"]
        for setting in members:
            value = "" if Settings.model_fields[setting.name].default is None else setting.default
            lines += ["", f"# {setting.meaning}", f"# {setting.kind}", f"#{setting.variable}={value}"]
    return "\n".join(lines)


def _markdown() -> str:
    """Return the table of docs/settings.md."""
    lines = ["| variable | default | allowed | meaning |", "|---|---|---|---|"]
    for setting in describe(Settings):
        cells = (f"`{setting.variable}`", f"`{setting.default}`", str(setting.kind), setting.meaning)
        lines.append(f"| {' | '.join(escape_controls(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)
