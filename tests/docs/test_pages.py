"""What the pages name exists: links, files, tests, settings, metrics, commands, and the code of their examples."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module

import pytest

from relay.cli import COMMANDS
from relay.cli.client_token import VARIABLE
from relay.settings import Settings
from tests.deploy.observed import series
from tests.docs.pages import PAGES, ROOT, anchors, code_blocks, text_of

FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|js|cfg|yml|yaml|json|html|css|conf)|(?:[\w.-]+/)+)`")
"""A file in backticks, or a folder with its slash; `/metrics` and the like are addresses, not files."""

OTHERS = {"lobby/"}
"""What looks like a file, and is none."""

APPLICATION = re.compile(r"# (more of )?[\w/]+\.py\n")
"""How an example begins that is a file of its own, or part of one. Tests run it in a process of its own: its imports
change what others find."""


@cache
def names() -> set[str]:
    """Return the name of every file that is delivered."""
    folders = ("relay", "deploy", "docs", "bench", "tests")
    return {path.name for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_something(page: str) -> None:
    """To a file that exists, and to a heading that it has."""
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    for link in (link for link in links if "://" not in link):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(file) if file else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), link


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    """By their path below the project, below `relay`, or beside the page; a bare name may be that of any file."""
    for path in FILE.findall(text_of(page)):
        folders = (ROOT, ROOT / "relay", (ROOT / page).parent, ROOT / "bench/peers")
        found = any((folder / path).exists() for folder in folders) or path in names() | OTHERS
        assert found, path


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_exist(page: str) -> None:
    """`tests/FILE.py::TEST` names a test of that file."""
    for path, test in re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", text_of(page)):
        assert f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


@pytest.mark.parametrize("page", PAGES)
def test_names_that_a_file_is_said_to_have_are_there(page: str) -> None:
    """As in "`ENDPOINTS` of `relay/protocols/__init__.py`"."""
    for names, path in re.findall(r"(`[\w`, and]+`) (?:of|in) `([\w/.]+\.py)`", text_of(page)):
        file = next(folder / path for folder in (ROOT, ROOT / "relay") if (folder / path).exists())
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^\s*(?:class |def |async def )?{name}\b", file.read_text(), re.MULTILINE), (
                f"{name} in {path}"
            )


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_stand_in_running_text_exist(page: str) -> None:
    """Without backticks, too: in links, in commands, in pictures."""
    paths = re.findall(r"(?<![\w./-])((?:relay|tests|bench)/[\w/]+\.py)\b", text_of(page))
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_that_is_named_is_a_setting(page: str) -> None:
    """Or the token of a client."""
    settings = {f"RELAY_{name.upper()}" for name in Settings.model_fields} | {VARIABLE}
    assert set(re.findall(r"\bRELAY_[A-Z_]+[A-Z]\b", text_of(page))) <= settings


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`(relay_[a-z_]+)", text_of(page)))
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series()} | series().keys()
    assert named <= shown


@pytest.mark.parametrize("page", PAGES)
def test_every_subcommand_that_is_named_exists(page: str) -> None:
    code = "\n".join(code_blocks(page, "sh"))
    commands = [*re.findall(r"`relay ([a-z]+)", text_of(page)), *re.findall(r"^relay ([a-z]+)", code, re.MULTILINE)]
    assert set(commands) <= COMMANDS.keys()


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_that_is_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(code_blocks(page, "sh"))
    named = [*re.findall(r"`make ([a-z-]+)", text_of(page)), *re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)]
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_run_exists(page: str) -> None:
    """As in `python -m bench.scaling`."""
    for module in re.findall(r"python -m ((?:bench|tests|relay)[\w.]*)", text_of(page)):
        path = ROOT / module.rstrip(".").replace(".", "/")
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), module


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_examples_can_be_compiled_and_its_imports_work(page: str) -> None:
    """Of `relay` it needs the public names only: only they are stable."""
    assert re.findall(r"^\s*(?:from|import) relay\..*", text_of(page), re.MULTILINE) == []
    for code in (code for code in code_blocks(page, "python") if not APPLICATION.match(code)):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                module = import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_fit_a_page_of_100_columns(page: str) -> None:
    """Pictures are the blocks without a language."""
    pictures = [code for code in code_blocks(page, "") if re.search("[─►◄│]", code)]
    assert [line for picture in pictures for line in picture.splitlines() if len(line) > 100] == []
