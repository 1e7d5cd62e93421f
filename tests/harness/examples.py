"""How often Hypothesis tries a property that takes more or fewer examples than usual; profiles are in `conftest.py`."""

from __future__ import annotations

from hypothesis import settings


def examples(many: int) -> settings:
    """Return settings with so many examples, or the share of them that the profile takes.

    Args:
        many: examples where a property usually has 100.
    """
    return settings(max_examples=max(1, many * settings().max_examples // 100))
