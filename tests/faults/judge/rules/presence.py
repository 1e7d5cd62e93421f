"""Rule 5: after everything has come to rest, those are named as present who are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.verdict import Finding, Rule


def presence(case: Case) -> Iterator[Finding]:
    """Yield channels of which the wrong users are named in the end."""
    last = {operation.channel: (index, operation) for index, operation in case.evidence.present}
    for index, operation in last.values():
        named, expected = Counter(operation.users), Counter(set(operation.expected))
        wrong = [f"lacks {user}" for user in expected - named] + [
            f"names {user} too often" for user in named - expected
        ]
        if wrong:
            sentence = f"the presence of {operation.channel} {', '.join(sorted(wrong)[:10])}"
            yield Finding(Rule.PRESENCE, sentence, (index,), index, len(wrong))
