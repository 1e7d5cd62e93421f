"""Settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from relay.settings import Settings
from relay.settings.problem import SettingProblem, SettingsError


def problems_of(**overrides: Any) -> dict[str, SettingProblem]:
    """Return the problems of settings that are refused, by variable."""
    with pytest.raises(SettingsError) as refused:
        Settings(**overrides)
    return {problem.variable: problem for problem in refused.value.problems}
