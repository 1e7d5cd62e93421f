"""Fixtures of the load test's tests."""

from __future__ import annotations

import asyncio

import pytest

from tests.honesty.trial import Trial, Tried, TriedServer, run_trials


@pytest.fixture(scope="module")
def _all_tried(request: pytest.FixtureRequest) -> dict[Trial, Tried[TriedServer] | Exception]:
    """Run the trials of all tests of this module that are to be run."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    parameters = [item.callspec.params.get("tried") for item in items if hasattr(item, "callspec")]
    return asyncio.run(run_trials(trial for trial in parameters if isinstance(trial, Trial)))


@pytest.fixture
def tried(
    request: pytest.FixtureRequest, _all_tried: dict[Trial, Tried[TriedServer] | Exception]
) -> Tried[TriedServer]:
    """The load test that the test's mark `against` describes, after its end."""
    result = _all_tried[request.param]
    if isinstance(result, Exception):
        raise result
    return result
