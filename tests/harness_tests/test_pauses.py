"""Tests wait for conditions. Where one only pauses, the pause itself is what it needs, and it says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]

SLEEPS = {"asyncio.sleep", "time.sleep", "sleep"}


def pauses(source: str) -> Iterator[int]:
    """Go through the lines with a call of `sleep`, but for those that only let the event loop turn."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SLEEPS and ast.unparse(node.args[0]) != "0":
            yield node.lineno


def test_each_pause_of_a_test_says_on_its_line_why_it_is_no_wait() -> None:
    """`wait_until` waits for what has to happen, and `stays_true` watches that something doesn't."""
    unexplained = []
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text()
        lines = source.splitlines()
        unexplained += [f"{path.relative_to(TESTS)}:{line}" for line in pauses(source) if "  # " not in lines[line - 1]]
    assert unexplained == []
