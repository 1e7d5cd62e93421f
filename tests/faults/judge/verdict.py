"""What a history of operations proves."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field


class Rule(enum.Enum):
    """What is promised. Its number is that of the rule, its words say it."""

    ONCE = (1, "what was acknowledged is delivered exactly once to whoever is said to lack nothing")
    ORDER = (2, "a channel has one order for all, with offsets that rise by one within an epoch")
    TOLD = (3, "who lacks a message is told before it sees a later one")
    TRUTH = (4, "nothing comes that was not published, and nothing unacknowledged twice")
    PRESENCE = (5, "who is there is named, and nobody else")
    READINESS = (6, "a gateway that says it is ready is, and all is back soon after the last fault")
    LEFTOVERS = (7, "nothing is left over when the clients have gone")

    @property
    def number(self) -> int:
        """Its number."""
        return self.value[0]

    @property
    def promise(self) -> str:
        """What it says."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule was broken.

    Args:
        rule: which.
        sentence: what happened, in words.
        proof: the places in the history of the operations that show it, in their order.
        proved_at: the place of the operation with which it is proved: the shortest history that proves it ends there.
        times: how often it happened to the same session, for the same reason.
    """

    rule: Rule
    sentence: str
    proof: tuple[int, ...]
    proved_at: int
    times: int = 1


@dataclass(slots=True)
class Counts:
    """What happened in a run, in numbers.

    Args:
        operations: that were recorded.
        published: messages that were begun to be published.
        acknowledged: those that the relay said it has published.
        refused: those that it said it hasn't.
        deliveries: messages that came to sessions.
        sessions: by their kind.
        resumed: sessions that asked to go on where they were.
        recovered: those of them that lacked nothing.
        told: how often sessions were told that messages may be missing, by words or by the code of an end, by what is
            kept of their channels.
        missed_told: deliveries that were not made, and told in time.
        missed_kept: those that plain WebSockets were not told of, because of `RELAY_ON_GAP=keep`.
        missed_untold: those that nobody was told of, or too late.
        faults: by their kind.
    """

    operations: int = 0
    published: int = 0
    acknowledged: int = 0
    refused: int = 0
    deliveries: int = 0
    sessions: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    recovered: int = 0
    told: Counter[str] = field(default_factory=Counter)
    missed_told: int = 0
    missed_kept: int = 0
    missed_untold: int = 0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a run. `bool(verdict)` is true when it shows that the relay keeps its promises.

    Args:
        findings: how rules were broken, beginning with what was proved first.
        void: why the run shows nothing, in sentences: too little happened, or the record contradicts itself.
        counts: what happened.
    """

    findings: list[Finding]
    void: list[str]
    counts: Counts

    def __bool__(self) -> bool:
        return not self.findings and not self.void

    @property
    def broken(self) -> set[Rule]:
        """The rules that were broken."""
        return {finding.rule for finding in self.findings}
