"""The README: short, honest about limits, and with a way to every page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from relay.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

FIRST_SCREEN_LINES = 32


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_its_first_screen_says_what_the_relay_does_and_what_it_does_not() -> None:
    first = "\n".join(README.splitlines()[:FIRST_SCREEN_LINES])
    does, _, does_not = first.partition("**What it does not do**")
    assert "**What it does**" in does
    for limit in ("at most once", "No history", "no rights", "docs/guarantees.md", "Redis Cluster", "TLS"):
        assert limit in does_not, limit


def test_the_first_commands_are_to_run_and_to_test() -> None:
    first = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[0]
    assert re.findall(r"^(make \w+)", first, re.MULTILINE) == ["make run", "make test"]


def test_make_run_keeps_messages_and_tells_who_is_here_unless_there_is_a_file_of_settings(tmp_path: Path) -> None:
    """As the page says: the playground has something to show then."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for named, file in (True, None), (False, "RELAY_PORT=9000"):
        if file is not None:
            (tmp_path / ".env").write_text(file)
        done = subprocess.run(
            ["make", "-n", "-o", ".venv/.stamp-run", "run"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert ("RELAY_HISTORY_SIZE=${RELAY_HISTORY_SIZE:-100} RELAY_PRESENCE=" in done.stdout) is named
    assert "`make run` keeps 100 messages and tells who is here, unless you have a `.env`" in README


def test_every_command_is_explained() -> None:
    table = README.partition("## The command\n")[2].partition("\n\nExit codes")[0]
    assert set(re.findall(r"^\| `relay (\w+)", table, re.MULTILINE)) == COMMANDS.keys()


def test_a_link_leads_to_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#]+)", README))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert {*pages, "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md"} <= links
