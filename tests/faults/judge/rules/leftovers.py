"""Rule 7: what the clients brought with them goes with them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.verdict import Finding, Rule


def leftovers(case: Case) -> Iterator[Finding]:
    """Yield what is left over in gateways."""
    for index, left in case.evidence.leftovers:
        if left.after > left.before:
            sentence = (
                f"gateway {left.gateway} has {left.after:g} {left.what} in the end, and had {left.before:g} before"
            )
            yield Finding(Rule.LEFTOVERS, sentence, (index,), index)
