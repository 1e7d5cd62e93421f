"""The import table of docs/architecture.md: who may know whom."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "relay"

# Layers from the outside in: a module imports from its own layer or from those after it.
LAYERS = ["cli", "workers", "gateway", "web", "control", "node", "hub", "message", "errors"]

ALLOWED = {
    # workers: the supervisor waits for processes, and speaks with them.
    "asyncio": {"node", "control", "gateway", "brokers", "web", "loadtest", "workers", "cli"},
    "websockets": {"gateway"},
    "redis": {"brokers", "loadtest"},
    "hiredis": {"brokers"},
    "aiohttp": {"gateway", "web", "cli"},
}

APART = ["protocols", "brokers", "auth"]
"""Packages whose modules know neither each other across packages of this kind nor the layers above the hub."""


@cache
def modules() -> list[tuple[str, set[str]]]:
    """Return each module's dotted name below `relay` and the names that it imports, type-checking blocks excepted."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        hidden = {
            id(child)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for child in ast.walk(node)
        }
        names: set[str] = set()
        for node in ast.walk(tree):
            if id(node) in hidden:
                continue
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        found.append((name, names))
    return found


def room(name: str) -> str:
    """Return the top-level part of a name below `relay`."""
    return name.split(".")[0]


def imported_rooms(names: set[str]) -> set[str]:
    """Return the rooms of the package that are imported."""
    return {room(name.removeprefix("relay.")) for name in names if name.startswith("relay.")}


def test_layers_import_inwards_only() -> None:
    """The middle never knows the rim."""
    wrong = []
    for name, names in modules():
        if room(name) in LAYERS:
            outer = LAYERS[: LAYERS.index(room(name))]
            wrong += [f"{name} imports {other}" for other in imported_rooms(names) if other in outer]
    assert wrong == []


@pytest.mark.parametrize("library", ALLOWED)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    """Event loop, WebSocket, Redis and HTTP libraries are known at the rim only."""
    wrong = [
        name
        for name, names in modules()
        if any(room(imported) == library for imported in names) and room(name) not in ALLOWED[library]
    ]
    assert wrong == []


def test_protocols_brokers_and_auth_know_neither_gateway_nor_node() -> None:
    """A new protocol or broker is one new file: nothing else of the house is needed for it."""
    wrong = [
        f"{name} imports {other}"
        for name, names in modules()
        if room(name) in APART
        for other in imported_rooms(names) & {"gateway", "node", "hub", "cli", "web"}
    ]
    assert wrong == []


def test_brokers_do_not_know_each_other() -> None:
    """The memory broker and the Redis broker share the contract, not code."""
    for name, names in modules():
        if name.startswith("brokers.memory"):
            assert not any(imported.startswith("relay.brokers.redis") for imported in names)
        if name.startswith("brokers.redis"):
            assert "relay.brokers.memory" not in names


def test_table_is_about_existing_rooms() -> None:
    """A renamed room must not empty the test."""
    rooms = {room(name) for name, _ in modules()}
    assert {*LAYERS, *APART, "web"} <= rooms
