"""A function is found by its dotted path, or it is said what is wrong with that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from relay import Gateway, Settings
from relay.authenticators.function import find_function
from relay.settings.problem import SettingsError


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which modules are found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def problem(path: str) -> str:
    """Return what is wrong with a dotted path, as users read it."""
    with pytest.raises(SettingsError) as caught:
        find_function(path)
    (found,) = caught.value.problems
    assert found.variable == "RELAY_AUTH"
    assert path in found.given
    return found.allowed


def test_a_function_is_found_by_its_path(modules: Path) -> None:
    (modules / "shop").mkdir()
    (modules / "shop" / "relay_auth.py").write_text("async def identify(request): return None\n")
    assert find_function("shop.relay_auth.identify").__name__ == "identify"


def test_what_is_wrong_with_a_path_is_said_in_words(modules: Path) -> None:
    (modules / "own_auth.py").write_text("def plain(request): return None\nnumber = 7\n")
    (modules / "needy_auth.py").write_text("import a_library_that_is_not_there\n")
    assert "importing nowhere.auth fails: No module named 'nowhere'; it must be installed, or its folder" in problem(
        "nowhere.auth.identify"
    )
    assert "own_auth has no identify" in problem("own_auth.identify")
    assert "this one is no `async def`" in problem("own_auth.plain")
    assert "this one is no `async def`" in problem("own_auth.number")
    needy = problem("needy_auth.identify")
    assert "importing needy_auth fails: No module named 'a_library_that_is_not_there'" in needy
    assert "its folder" not in needy, "it was found"


def test_other_errors_of_a_module_are_its_own(modules: Path) -> None:
    """They come with their traceback, which says more than we could."""
    (modules / "broken_auth.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        find_function("broken_auth.identify")


def test_a_gateway_is_not_even_made(modules: Path) -> None:
    with pytest.raises(SettingsError, match="RELAY_AUTH"):
        Gateway(Settings(auth="nowhere.auth.identify"))
