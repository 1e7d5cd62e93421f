"""docs/commands.md names every subcommand, and its line for bash makes bash complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli import COMMANDS
from tests.docs.pages import code_blocks, table_below, text_of

PAGE = "docs/commands.md"


def test_every_subcommand_is_named() -> None:
    named = re.findall(r"`relay (\w+)", " ".join(row[1] for row in table_below(PAGE, "| to |")))
    assert set(named) == COMMANDS.keys()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["relay", "ch"], ["check"]),
        (["relay", ""], list(COMMANDS)),
        (["relay", "serve", "--metrics"], ["--metrics-port"]),
        (["relay", "check", "--js"], ["--json"]),
        (["relay", "serve", "--auth", ""], ["none", "key", "jwt", "http"]),
        (["relay", "serve", "--log-level", "w"], ["warning"]),
        (["relay", "serve", "--port", "1"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_line_for_bash_makes_bash_complete(words: list[str], offered: list[str]) -> None:
    """As it stands on the page, and with the command of this installation."""
    outcome = complete(words)
    assert outcome.stdout.splitlines() == [*offered, "complete -o nosort -F _relay_completion relay"]
    assert outcome.stderr == ""


def test_files_are_left_to_bash() -> None:
    """`compopt` says so; outside of a real completion it fails, with these words."""
    outcome = complete(["relay", "serve", "--tls-cert", "cert"])
    assert "compopt: not currently executing completion function" in outcome.stderr


def test_the_lines_for_other_shells_are_those_that_click_knows() -> None:
    for shell in "zsh", "fish":
        (line,) = code_blocks(PAGE, shell)
        assert f"_RELAY_COMPLETE={shell}_source relay" in line
        shown = subprocess.run(
            ["relay"],
            env={**environment(), "_RELAY_COMPLETE": f"{shell}_source"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"_RELAY_COMPLETE={shell}_complete" in shown.stdout


def test_the_page_says_what_bash_offers() -> None:
    offered = complete(["relay", "serve", "--auth", ""]).stdout.splitlines()[:-1]
    (sentence,) = re.findall(r"`relay serve --auth` and the tab key show (.+?)\.", text_of(PAGE))
    assert re.findall(r"`(\w+)`", sentence) == offered


def complete(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Return what bash offers behind some words, the last one of which isn't finished, and how it knows the command."""
    (line,) = code_blocks(PAGE, "sh")
    script = f"""
        {line}
        COMP_WORDS=("$@")
        COMP_CWORD={len(words) - 1}
        _relay_completion relay
        [ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p relay
    """
    return subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words], env=environment(), capture_output=True, text=True, check=True
    )


def environment() -> dict[str, str]:
    """Return variables with which a shell finds the command of this installation."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
