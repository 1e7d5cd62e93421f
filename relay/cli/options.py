"""Settings as command-line options: generated from `Settings`, listed by group, checked together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Any

import click
from click.shell_completion import CompletionItem

from relay.settings import Settings
from relay.settings.problem import SettingProblem, SettingsError
from relay.settings.report import Description, SettingSource, UnknownVariable, describe, sources, unknown_variables
from relay.settings.tls import check_files

WRONG_SETTINGS = 2


class SettingOption(click.Option):
    """One setting as an option. Its value stays text: `Settings` parses and checks it, with all others."""

    def __init__(self, description: Description) -> None:
        super().__init__([description.flag, description.name], type=str, metavar=_metavar(description))
        self.description = description

    def row(self) -> tuple[str, str]:
        """Return the option and its explanation for the help."""
        setting = self.description
        limits = f"; {setting.kind.rule}" if setting.kind.rule and setting.kind.name != "choice" else ""
        return (
            f"{click.style(setting.flag, fg='cyan')} {self.metavar}",
            f"{setting.meaning}  [{setting.variable}; default: {setting.default}{limits}]",
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the values that a shell offers: those of a choice, or the names of files."""
        kind = self.description.kind
        if kind.name == "file":
            return [CompletionItem(incomplete, type="file")]
        # Behind a comma are others, in words.
        values = kind.rule.partition(",")[0].split("|") if kind.name == "choice" else []
        return [CompletionItem(value) for value in values if value.startswith(incomplete)]


class SettingsCommand(click.Command):
    """A command that takes settings as options, besides its own options.

    Args:
        settings: names of those settings; None: it takes all, and they come first in its help.
    """

    def __init__(self, *args: Any, settings: Collection[str] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.settings = settings
        self.params += [
            SettingOption(description)
            for description in describe(Settings)
            if settings is None or description.name in settings
        ]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each group of settings, and one for the command's own options."""
        lists = (self._format_settings, self._format_own)
        for write in lists if self.settings is None else reversed(lists):
            write(ctx, formatter)

    def _format_settings(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, SettingOption)]
        for group, members in groupby(options, key=lambda option: option.description.group):
            with formatter.section(click.style(group, bold=True)):
                formatter.write_dl([option.row() for option in members])

    def _format_own(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param for param in self.get_params(ctx) if not isinstance(param, SettingOption)]
        with formatter.section(click.style("Options", bold=True)):
            formatter.write_dl([row for param in own if (row := param.get_help_record(ctx)) is not None])


def load_settings(flags: Mapping[str, str | None], *, files: bool = False) -> Settings:
    """Return the settings; when some are wrong, list these on standard error, and exit with 2.

    Args:
        flags: name of a setting → text of its flag; None when it was not given. Empty text unsets the setting.
        files: whether the files for TLS are checked as well, which not every command may read.
    """
    given = given_flags(flags)
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # text: pydantic reads it
        if files:
            check_files(settings)
        return settings
    except SettingsError as error:
        report(error.problems, given)
        raise click.exceptions.Exit(WRONG_SETTINGS) from None


def given_flags(flags: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the flags that were given, as `Settings` takes them."""
    return {name: value or None for name, value in flags.items() if value is not None}


def report(problems: list[SettingProblem], given: Mapping[str, object]) -> None:
    """List wrong settings on standard error, and unknown variables that may have been meant as settings."""
    unknown = unknown_variables(Settings)
    click.secho(f"relay: {_count(problems, unknown)}", fg="red", bold=True, err=True)
    found = sources(Settings, given)
    flags = {description.variable: description for description in describe(Settings)}
    for problem in problems:
        click.echo(err=True)
        click.secho(f"  {problem.name}", bold=True, err=True)
        origin = ""
        if not problem.located and (description := flags.get(problem.variable)):
            source = found.get(description.name, SettingSource.DEFAULT)
            origin = f" ({description.flag if source is SettingSource.FLAG else source.value})"
        click.echo(f"    given:    {problem.given}{origin}", err=True)
        click.echo(f"    allowed:  {problem.allowed}", err=True)
    if unknown:
        click.echo(err=True)
    for variable in unknown:
        click.secho(f"  {variable}", fg="yellow", err=True)


def _count(problems: list[SettingProblem], unknown: list[UnknownVariable]) -> str:
    count = "1 setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"
    return f"{count}, {len(unknown)} unknown" if unknown else count


def _metavar(description: Description) -> str:
    kind = description.kind
    return f"[{kind.rule}]" if kind.name == "choice" else kind.name.upper()
