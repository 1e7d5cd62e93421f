"""The load test is a second opinion: it shares no code with the gateway that it judges."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "relay" / "loadtest"
ROOT = PACKAGE.parents[1]

SHARED = {"relay.errors", "relay.redaction", "relay.system_error", "relay.version"}
"""Modules of the house besides its own that the load test may know: none of them touches a message."""

FOREIGN = {"websockets", "picows", "aiohttp"}
"""Libraries that gateways are made of."""


def modules() -> list[str]:
    """Return the dotted names of all modules of the load test."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def imports(module: str) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, wherever in it."""
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            # A name of the package itself may be a module, or lead to one.
            yield from (
                [f"relay.{alias.name}" for alias in node.names] if node.module == "relay" else [str(node.module)]
            )


@pytest.mark.parametrize("module", modules())
def test_nothing_of_the_gateway_is_imported(module: str) -> None:
    """Neither the house's code nor the libraries that it is built on."""
    names = set(imports(module))
    house = {name for name in names if name == "relay" or name.startswith("relay.")}
    assert {name for name in house - SHARED if not f"{name}.".startswith("relay.loadtest.")} == set()
    assert {name.partition(".")[0] for name in names} & FOREIGN == set()


def test_nothing_of_the_gateway_is_loaded() -> None:
    """Not by way of others either."""
    program = f"""
import importlib, sys
for module in {[module for module in modules() if not module.endswith("__main__")]}:
    importlib.import_module(module)
print(*sys.modules)
"""
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert outcome.returncode == 0, outcome.stderr
    loaded = outcome.stdout.split()
    house = {name for name in loaded if name.startswith("relay.") and not f"{name}.".startswith("relay.loadtest.")}
    assert house <= SHARED
    assert {name.partition(".")[0] for name in loaded} & FOREIGN == set()


def test_the_check_sees_the_modules() -> None:
    """A renamed folder must not empty the test."""
    assert {"relay.loadtest", "relay.loadtest.result.result", "relay.loadtest.target.stack"} <= set(modules())
    assert "relay.errors" in set(imports("relay.loadtest.generator.limits"))
