"""docs/commands.md names every subcommand, and its lines for shells make these complete."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli import COMMANDS
from tests.docs.pages import code_blocks, table_below, text_of
from tests.harness.conditions import wait_until_blocking

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


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("relay ch", ["check"]),
        ("relay serve --auth ", ["http", "jwt", "key", "none"]),
    ],
)
@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_the_line_for_fish_makes_fish_complete(line: str, offered: list[str]) -> None:
    (begin,) = code_blocks(PAGE, "fish")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{begin}\ncomplete -C '{line}'"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(found.split("\t")[0] for found in done.stdout.splitlines()) == offered
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("relay serve --log-level w", "relay serve --log-level warning "),
        ("relay serve --tls-cert cert", "relay serve --tls-cert certificate.pem "),
    ],
)
@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_the_line_for_zsh_makes_zsh_complete(tmp_path: Path, typed: str, becomes: str) -> None:
    """At a terminal: it completes nowhere else."""
    (line,) = code_blocks(PAGE, "zsh")
    (tmp_path / "certificate.pem").touch()
    (tmp_path / ".zshrc").write_text(
        f"autoload -Uz compinit && compinit -u -D\n{line}\n"
        "show() { print -rn -- $BUFFER > shown.part && mv shown.part shown; BUFFER= }\n"
        "zle -N show && bindkey '^X' show\n"
        "begun() { touch begun }\nzle -N zle-line-init begun\n"
    )
    terminal, theirs = pty.openpty()
    given = {**environment(), "ZDOTDIR": str(tmp_path), "TERM": "dumb"}
    zsh = subprocess.Popen(
        ["zsh", "-i"], cwd=tmp_path, env=given, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    try:
        wait_until_blocking((tmp_path / "begun").exists, what="zsh waits for a line")
        os.write(terminal, f"{typed}\t\x18".encode())
        wait_until_blocking((tmp_path / "shown").exists, what="zsh has completed it")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(theirs)
        os.close(terminal)
    assert (tmp_path / "shown").read_text() == becomes


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
