"""The command itself: help, version, colours, mistyped subcommands."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE

import click
import pytest

from relay import __version__
from relay.cli import COMMANDS
from tests.cli.command import ROOT, invoke, run_anew


def test_help_lists_the_commands() -> None:
    """Each with one line, in the order of use."""
    result = invoke("--help")
    assert result.exit_code == 0
    assert re.findall(r"^  (\w+)  +\w", result.output, re.MULTILINE) == list(COMMANDS)


def test_the_shell_completes_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same list."""
    for name, value in {"_RELAY_COMPLETE": "bash_complete", "COMP_WORDS": "relay ", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert [line.removeprefix("plain,") for line in invoke().output.splitlines()] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_one_of_the_command(name: str) -> None:
    """The list is kept apart so that it needs no import; it must not drift."""
    command = importlib.import_module(f"relay.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert (command.help or "").partition("\n\n")[0].strip() == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """With its exit codes, since scripts ask for them."""
    result = invoke(name, "-h")
    assert result.exit_code == 0
    assert "Exit codes:" in result.output


def test_version() -> None:
    """The one of the package."""
    assert invoke("--version").output == f"relay {__version__}\n"


def test_without_a_command_the_help_is_shown() -> None:
    """And the exit code says that nothing was done."""
    result = invoke()
    assert result.exit_code == 2
    assert "Usage: relay" in result.output


def test_a_mistyped_command_names_the_nearest() -> None:
    """Exit code 2, as for every wrong usage."""
    result = invoke("serv")
    assert result.exit_code == 2
    assert "Did you mean 'serve'?" in result.stderr
    assert "No such command 'xyz'" in invoke("xyz").stderr


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, and there not with NO_COLOR."""
    assert "\x1b[" in invoke("--help", color=True).output
    assert "\x1b[" not in invoke("--help").output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in invoke("--help", color=True).output
    assert "\x1b[" not in invoke("serve", "--help", color=True).output


async def test_python_m_relay_is_the_command() -> None:
    """With its name in the usage."""
    outcome = await run_anew("--help")
    assert outcome.code == 0
    assert outcome.output.startswith("Usage: relay ")


async def test_help_imports_nothing_heavy() -> None:
    """So that it appears at once."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "relay", "--help"), cwd=ROOT, stdout=DEVNULL, stderr=PIPE
    )
    _, report = await process.communicate()
    imported = {line.rpartition("|")[2].strip() for line in report.decode().splitlines()}
    assert "click" in imported
    assert not imported & {"aiohttp", "asyncio", "pydantic", "redis", "rich", "structlog", "websockets"}
