"""What a verdict says."""

from __future__ import annotations

from relay.checks.verdict import State, Verdict


def says(verdict: Verdict, state: State, words: str) -> bool:
    """Return whether a verdict has a state, and these words among its reason."""
    return verdict.state is state and words in verdict.reason
