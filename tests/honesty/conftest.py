"""Fixtures of the load test's tests."""

from __future__ import annotations

import asyncio

import pytest

from tests.honesty.trial import Trial, Tried, TriedServer, run_trials

TRIALS = pytest.StashKey[list[Trial]]()
"""What the chosen tests of a module are about."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the trials of each module, once it is known which of its tests are to be run."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            trial, module = item.callspec.params.get("tried"), item.getparent(pytest.Module)
            if isinstance(trial, Trial) and module is not None:
                module.stash.setdefault(TRIALS, []).append(trial)


@pytest.fixture(scope="module")
def _all_tried(request: pytest.FixtureRequest) -> dict[Trial, Tried[TriedServer] | Exception]:
    """Run the trials of all tests of this module that are to be run."""
    return asyncio.run(run_trials(request.node.stash.get(TRIALS, [])))


@pytest.fixture
def tried(
    request: pytest.FixtureRequest, _all_tried: dict[Trial, Tried[TriedServer] | Exception]
) -> Tried[TriedServer]:
    """The load test that the test's mark `against` describes, after its end."""
    result = _all_tried[request.param]
    if isinstance(result, Exception):
        raise result
    return result
