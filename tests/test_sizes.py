"""How large a module and a file of tests may be, and how small a module."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.modules import PACKAGE, paths, tree

TESTS = Path(__file__).parent

MAX_LINES = 300
MAX_FUNCTION_LINES = 60
MIN_LINES = 20

LONG_TESTS = {"web/client/test_networks.py"}
"""Files of tests that have still to be split."""

SMALL = {
    "__main__": "what `python -m relay` runs",
    "version": "the build reads it",
    "control.__init__": "what the room is, and its one public name",
    "gateway.__init__": "what the room is, and its one public name",
    "logs.__init__": "what the room is, and its public names",
    "web.api.__init__": "what the room is, and its one public name",
}
"""Modules of fewer than `MIN_LINES` lines, and why they are none of another; those that only say what a room is need no
reason."""


def test_modules_are_no_longer_than_can_be_read_at_a_sitting() -> None:
    sizes = {name: len(path.read_text().splitlines()) for name, path in paths().items()}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_files_of_tests_are_no_longer_either() -> None:
    sizes = {f"{path.relative_to(TESTS)}": len(path.read_text().splitlines()) for path in TESTS.rglob("*.py")}
    assert {name for name, size in sizes.items() if size > MAX_LINES} == LONG_TESTS


def test_functions_are_no_longer_than_a_screen() -> None:
    sizes = {
        f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name in paths()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: size for name, size in sizes.items() if size > MAX_FUNCTION_LINES} == {}


def test_small_modules_have_a_reason() -> None:
    small = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for name, path in paths().items()
        if len(path.read_text().splitlines()) < MIN_LINES and not _only_says_what_it_is(name)
    }
    assert small == set(SMALL)


def _only_says_what_it_is(name: str) -> bool:
    statements = tree(name).body
    only_text = all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in statements)
    return only_text and paths()[name].name == "__init__.py"
