"""Gateways in processes of their own: what a test says of them is what they get."""

from __future__ import annotations

import pytest

from tests.harness.gateway_process import GatewayProcess


def test_a_misspelt_setting_fails_the_test() -> None:
    """The relay warns, and goes on with the default: the test would try something else than it says."""
    with pytest.raises(TypeError, match="not a setting: hystory_size, rigths"):
        GatewayProcess(rigths="a=r", hystory_size=5, auth="none")
