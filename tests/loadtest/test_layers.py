"""The rooms of the load test are layers, and no imports form a circle; imports for type checking count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import relay.loadtest

PACKAGE = Path(relay.loadtest.__file__).parent
PREFIX = "relay.loadtest."

MAY_IMPORT: dict[str, set[str]] = {
    "run": {"generator", "target", "result", "plan", "units"},
    "report": {"result", "units"},
    "generator": {"result", "plan"},
    "target": {"result"},
    "result": {"units"},
    "plan": set(),
    "units": set(),
}
"""Room → rooms below it whose modules it may import."""


@cache
def imports() -> dict[str, set[str]]:
    """Return each module below `relay.loadtest` and the modules there that it imports, wherever in it."""
    paths = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name: {module for module in _imported(path) if module in paths} for name, path in paths.items()}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix(PREFIX) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            module = f"{node.module}.".removeprefix(PREFIX)
            # A name imported from a room is a module.
            yield from (f"{module}{alias.name}" for alias in node.names)
            yield module.removesuffix(".")


def room(module: str) -> str:
    """Return the room of a module."""
    return module.split(".")[0]


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(name: str) -> None:
    """As the docstring of `relay.loadtest` says."""
    used = {room(other) for module, others in imports().items() if room(module) == name for other in others}
    assert used - {name} == MAY_IMPORT[name]


def test_every_module_is_in_a_room() -> None:
    """Nothing is checked outside the table."""
    assert {room(module) for module in imports()} == {*MAY_IMPORT, "__init__"}


def test_no_imports_form_a_circle() -> None:
    """Neither of rooms nor of modules."""
    for graph in (MAY_IMPORT, imports()):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(f"circle: {error.args[1]}")


def test_the_table_is_that_of_the_docstring() -> None:
    """Each room has a line there, with the rooms that it may import."""
    lines = [line.split("→") for line in (relay.loadtest.__doc__ or "").splitlines() if "→" in line]
    table = {line[0].split()[0]: set(line[1].replace(",", " ").split()) - {"nothing"} for line in lines}
    assert table == MAY_IMPORT
