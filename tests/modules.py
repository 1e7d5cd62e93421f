"""The modules of the package, and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "relay"


@cache
def paths() -> dict[str, Path]:
    """Return the modules by their dotted names below `relay`; that of the package itself is `relay`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__") if name != "__init__" else "relay"] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """Return a module's source, parsed."""
    return ast.parse(paths()[name].read_text())


@cache
def imported(name: str) -> frozenset[str]:
    """Return the dotted names that a module imports, wherever in it: for types and within functions, too."""
    names: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            module = node.module or ""
            for alias in node.names:
                # A name that is imported from a room may be a module.
                inner = f"{module}.{alias.name}"
                names.add(inner if inner.removeprefix("relay.") in paths() else module)
    return frozenset(names)


def known(name: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    inside = (other for other in imported(name) if other == "relay" or other.startswith("relay."))
    return {other.removeprefix("relay.") for other in inside} - {name}


def room(name: str) -> str:
    """Return the top-level part of a name below `relay`."""
    return name.split(".")[0]


def edges() -> Iterator[tuple[str, str]]:
    """Go through all imports from one room into another: both modules."""
    for name in paths():
        for other in known(name):
            if room(name) != room(other):
                yield name, other
