"""The rooms, the layers and the libraries of docs/architecture.md are those of the code."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache

from tests.docs.pages import ROOT, code_blocks, table_below

PAGE = "docs/architecture.md"
PACKAGE = ROOT / "relay"

LAYERS = [
    layer.strip().split(" | ")
    for picture in code_blocks(PAGE, "")
    if picture.startswith("cli →")
    for layer in picture.replace("\n", " ").split("→")
]


@cache
def imports() -> dict[str, set[str]]:
    """Return, by room, what its modules import, in type-checking blocks, too: names of modules."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[room].update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found[room].add(node.module or "")
    return found


def rooms_of(names: set[str]) -> set[str]:
    """Return the rooms of the package in which imported modules are."""
    return {name.split(".")[1] for name in names if name.startswith("relay.")}


def test_every_room_is_explained() -> None:
    """And no other."""
    explained = {name.rstrip("/") for row in table_below(PAGE, "| room |") for name in re.findall("`(.+?)`", row[0])}
    rooms = {path.name for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__main__.py", "py.typed")}
    assert explained == rooms - {"__pycache__"}


def test_layers_import_from_those_after_them_only() -> None:
    """The package itself names what it exports, and `health_check` imports nothing."""
    place = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    assert set(imports()) - place.keys() == {"__init__", "__main__", "health_check", "loadtest"}
    wrong = [
        f"{room} imports {other}"
        for room in place
        for other in rooms_of(imports()[room]) - {room, "loadtest"}
        if place[other] < place[room]
    ]
    assert wrong == []


def test_the_load_test_is_apart() -> None:
    assert rooms_of(imports()["loadtest"]) <= {"loadtest", *LAYERS[-1]}
    assert {room for room, names in imports().items() if "loadtest" in rooms_of(names)} == {"cli", "loadtest"}


def test_libraries_are_known_where_the_page_says() -> None:
    for library, rooms in table_below(PAGE, "| library |"):
        known = {
            room for room, names in imports().items() if library.strip("`") in {name.split(".")[0] for name in names}
        }
        assert known == set(re.findall("`(.+?)`", rooms)), library
