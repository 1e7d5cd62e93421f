"""What stands in docs/guide.md is what stands in docs/examples, and the tests of the examples pass."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code_blocks, text_of
from tests.docs.site import EXAMPLES, PAGE, PROGRAMS, WRITE, Site, commands

NAMED = re.compile(r"(?:#|//|<!--) ([\w/.-]+\.(?:py|js|html))(?: -->)?\n(.*)", re.DOTALL)
"""A block that is a file, or part of one: a comment with its path, and its text."""

PARTS = [
    (found[1], found[2])
    for language in ("python", "js", "html")
    for block in code_blocks(PAGE, language)
    if (found := NAMED.fullmatch(block))
]


@pytest.mark.parametrize(("path", "text"), PARTS, ids=[f"{path}-{number}" for number, (path, _) in enumerate(PARTS)])
def test_every_block_is_part_of_its_file(path: str, text: str) -> None:
    """Whole lines of it, one after the other."""
    assert f"\n{text}" in "\n" + (EXAMPLES / path).read_text()


def test_every_block_of_a_program_names_its_file() -> None:
    blocks = [block for language in ("python", "js", "html") for block in code_blocks(PAGE, language)]
    assert len(PARTS) == len(blocks) > 0


def test_every_example_is_shown() -> None:
    shown = {path.partition("/")[0] for path, _ in PARTS}
    others = {"session_auth.py"}  # of docs/auth.md
    assert shown | others == {path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"}


def test_the_examples_are_installed_for_as_the_page_says() -> None:
    """Each package that they import comes with the relay, or is in a `pip install` of the page."""
    with_relay = {"relay", "aiohttp", "jwt", "websockets"}
    code = "\n".join(code_blocks(PAGE, "sh"))
    installed = " ".join(re.findall(r"^pip install (.+)", code, re.MULTILINE))
    told = set(re.findall(r"[a-z_]+", installed.replace("-", "_")))
    own = {path.stem for path in EXAMPLES.rglob("*")}
    for path in (path for path in EXAMPLES.rglob("*.py") if path.name != "session_auth.py"):
        assert _imports(path) <= sys.stdlib_module_names | with_relay | told | own, path


def _imports(path: Path) -> set[str]:
    """Return the packages from which a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names}


def test_the_settings_of_the_page_can_be_used() -> None:
    """Loaded by a shell as the page says."""
    variables = Site(None).variables()
    assert set(variables) == set(re.findall(r"^([A-Z_]+)=", commands(WRITE), re.MULTILINE))
    assert variables["RELAY_NAMESPACES"].startswith('{"tasks"')


def test_the_tests_of_the_page_pass() -> None:
    site = Site(None)
    program = site.application("tasks", "pytest", {"NO_COLOR": "1"}, sign="2 passed")
    with program:
        assert "2 passed" in program.output


def test_the_commands_name_files_of_the_examples() -> None:
    for folder in re.findall(r"docs/examples/\w+", text_of(PAGE)):
        assert (ROOT / folder).is_dir()
    assert (PROGRAMS / "relay").exists()
