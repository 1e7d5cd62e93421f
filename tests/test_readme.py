"""The README: short, honest about limits, and with a way to every page."""

from __future__ import annotations

import re
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


def test_every_command_is_explained() -> None:
    table = README.partition("## The command\n")[2].partition("\n\nExit codes")[0]
    assert set(re.findall(r"^\| `relay (\w+)", table, re.MULTILINE)) == COMMANDS.keys()


def test_a_link_leads_to_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#]+)", README))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert {*pages, "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md"} <= links
