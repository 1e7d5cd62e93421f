"""The modules, the layers and the libraries of docs/architecture.md are those of the code."""

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
    """Return, by module, what its files import, in type-checking blocks, too: names of modules."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[module].update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found[module].add(node.module or "")
    return found


def modules_of(names: set[str]) -> set[str]:
    """Return the modules of the package that imported names belong to."""
    return {name.split(".")[1] for name in names if name.startswith("relay.")}


def test_every_module_is_explained() -> None:
    """And no other."""
    explained = {name.rstrip("/") for row in table_below(PAGE, "| module |") for name in re.findall("`(.+?)`", row[0])}
    modules = {path.name for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__main__.py", "py.typed")}
    assert explained == modules - {"__pycache__"}


def test_layers_import_from_those_after_them_only() -> None:
    """The package itself names what it exports, and `health_check` imports nothing."""
    place = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    assert set(imports()) - place.keys() == {"__init__", "__main__", "health_check", "loadtest"}
    wrong = [
        f"{module} imports {other}"
        for module in place
        for other in modules_of(imports()[module]) - {module, "loadtest"}
        if place[other] < place[module]
    ]
    assert wrong == []


def test_the_load_test_is_apart() -> None:
    assert modules_of(imports()["loadtest"]) <= {"loadtest", *LAYERS[-1]}
    assert {module for module, names in imports().items() if "loadtest" in modules_of(names)} == {"cli", "loadtest"}


def test_libraries_are_known_where_the_page_says() -> None:
    for library, modules in table_below(PAGE, "| library |"):
        known = {
            module
            for module, names in imports().items()
            if library.strip("`") in {name.split(".")[0] for name in names}
        }
        assert known == set(re.findall("`(.+?)`", modules)), library
