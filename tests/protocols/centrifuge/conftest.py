"""The formats in which clients of the Centrifuge protocol speak."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["json", "protobuf"])
def format(request: pytest.FixtureRequest) -> str:
    """The name of a format: each test runs in all of them."""
    assert isinstance(request.param, str)
    return request.param
