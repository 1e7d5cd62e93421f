"""What an attack has done to the healthy clients, and what follows from that. Pure: the figures are given.

What is lost, and memory that stays, count on any machine. Latency counts only as far as the machine lets it be judged:
its spans are compared with quiet ones of the same run, these with each other, and all with a control that nobody
attacks. Where these differ as much as an attack may make a difference, nothing is proven, and the verdict is void.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isinf
from statistics import median
from typing import Final, NamedTuple

MOST_TIMES: Final = 3.0
"""What an attack may do to the 99th percentile of the latency."""

MEMORY_SHARE: Final = 0.1
"""What of the memory may stay longer."""

LEAST_MESSAGES: Final = 0.5
"""Of those that were due in a span; with fewer of them it says nothing."""


class Judgement(enum.Enum):
    """What follows."""

    HELD = "as it should be"
    VOID = "void"
    FAILED = "failed"


class Verdict(NamedTuple):
    """What follows, and why, in words."""

    judgement: Judgement
    reasons: list[str]


class Span(NamedTuple):
    """What was measured in one span of time.

    Args:
        p99: 99th percentile of the latency of the healthy clients, in seconds.
        control: that of the echo server's clients.
        messages: the part of the messages that were due of which the latency is known.
    """

    p99: float
    control: float
    messages: float = 1.0


class Least(NamedTuple):
    """What an attack must have done in each second, or it was none.

    Args:
        connections: that were made.
        bytes: that were sent.
    """

    connections: float
    bytes: float = 0.0


@dataclass(slots=True)
class Outcome:
    """What an attack has done.

    Args:
        least: what it must have done.
        before: quiet spans before the first attack.
        attacked: spans in which it went on.
        quiet: spans between them and after the last.
        attacked_seconds: for how long it went on in all.
        met: `connections` that the hostile clients have made, `bytes` that they have sent, and how many of them were
            refused, by status.
        faults: what healthy clients have lost, and what the gateway has logged.
        memory_before: resident bytes of the gateway.
        memory_peak: the most while it was attacked.
        memory_after: the least in the ten seconds after the attack.
        newcomers: seconds until each client was let in that came meanwhile.
        cpu_share: of one processor, that the gateway has used while it was attacked.
    """

    least: Least
    before: list[Span] = field(default_factory=list)
    attacked: list[Span] = field(default_factory=list)
    quiet: list[Span] = field(default_factory=list)
    attacked_seconds: float = 0.0
    met: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    newcomers: list[float] = field(default_factory=list)
    memory_before: int = 0
    memory_peak: int = 0
    memory_after: int = 0
    cpu_share: float = 0.0

    @property
    def calm(self) -> list[Span]:
        """All quiet spans."""
        return self.before + self.quiet

    @property
    def times(self) -> float:
        """How many times its quiet value the latency was."""
        return _ratio([span.p99 for span in self.attacked], [span.p99 for span in self.calm])

    @property
    def control_times(self) -> float:
        """The same of the control: what the machine did to it meanwhile."""
        return _ratio([span.control for span in self.attacked], [span.control for span in self.calm])

    @property
    def placebo(self) -> float:
        """How many times another half the latency was in one half of the quiet spans, in turn: it should be once."""
        values = [span.p99 for span in self.calm]
        return _apart(_ratio(values[::2], values[1::2]))

    @property
    def spread(self) -> float:
        """How many times the best quiet span the quiet value is: against a bad one an attack could hide."""
        values = [span.p99 for span in self.calm]
        return _ratio(values, [min(values)])

    @property
    def certain(self) -> bool:
        """Whether it would be the same on any machine: no latency is needed for the verdict."""
        return bool(self.faults or self._memory_faults())

    @property
    def verdict(self) -> Verdict:
        """What follows."""
        short = self.faults + self._memory_faults()
        void = self._missing()
        if not void:
            failed, unclear = self._judge_latency()
            # What an attack has done slowly because it made the gateway slow, it has done.
            short, void = short + failed, unclear + self._too_little()
        if short:
            return Verdict(Judgement.FAILED, short + void)
        return Verdict(Judgement.VOID if void else Judgement.HELD, void)

    def _memory_faults(self) -> list[str]:
        if self.memory_after <= self.memory_before * (1 + MEMORY_SHARE):
            return []
        return [f"memory stays at {self.memory_after / self.memory_before:.2f} times its value"]

    def _missing(self) -> list[str]:
        """Return what wasn't there to be judged."""
        missing = []
        if not self.attacked or not self.before or not self.quiet:
            missing.append("nothing was measured")
        elif min(median([span.messages for span in spans]) for spans in (self.calm, self.attacked)) < LEAST_MESSAGES:
            missing.append("the healthy clients hardly spoke")
        if not self.memory_before or not self.memory_after:
            missing.append("the memory was not measured")
        if not self.met["connections"]:
            missing.append("there was no attack")
        return missing

    def _too_little(self) -> list[str]:
        """Return what the attack should have done more of."""
        return [
            f"the attack did too little: {self.met[what]:,} {what}"
            for what, least in self.least._asdict().items()
            if self.met[what] < least * self.attacked_seconds
        ]

    def _judge_latency(self) -> tuple[list[str], list[str]]:
        """Return what falls short, and what can't be told."""
        noise = max(1.0, self.placebo)
        failed, unclear = [], []
        returned = _ratio([span.p99 for span in self.quiet], [span.p99 for span in self.before])
        control_returned = _ratio([span.control for span in self.quiet], [span.control for span in self.before])
        for times, control, what in (
            (self.times, self.control_times, "p99 is {:.1f} times its quiet value"),
            (returned, control_returned, "p99 stays at {:.1f} times its value before the attack"),
        ):
            if times < MOST_TIMES:
                continue
            if times / max(noise, control) >= MOST_TIMES:
                failed.append(what.format(times))
            else:
                unclear.append(
                    what.format(times)
                    + f", but the control's {control:.1f} times, and quiet spans {noise:.1f} times apart"
                )
        if noise >= MOST_TIMES:
            unclear.append(f"quiet spans are {noise:.1f} times apart")
        if self.spread >= MOST_TIMES:
            unclear.append(f"the quiet value is {self.spread:.1f} times the best of its spans")
        return failed, unclear


def conclude(verdicts: Mapping[str, Verdict]) -> tuple[int, str]:
    """Return the exit code and the last sentence of a run.

    One void verdict may be the machine's fault. When it is most of them, the run has shown nothing, and must not pass.

    Args:
        verdicts: by the names of the attacks.
    """
    named = {
        judgement: [name for name, verdict in verdicts.items() if verdict.judgement is judgement]
        for judgement in Judgement
    }
    held, void, failed = named[Judgement.HELD], named[Judgement.VOID], named[Judgement.FAILED]
    sentence = f"{len(held)} of {len(verdicts)} as it should be"
    if failed:
        sentence += f"; FAILED: {', '.join(failed)}"
    if void:
        sentence += f"; VOID, so not shown by this run: {', '.join(void)}"
    if failed:
        return 1, sentence
    return (0 if 2 * len(held) > len(verdicts) else 2), sentence


def _ratio(values: list[float], others: list[float]) -> float:
    """Return how many times the others' median that of values is; infinite ones are those that never ended."""
    over, under = median(values), median(others)
    if isinf(over) and isinf(under):
        return 1.0
    return over / under if under else inf


def _apart(ratio: float) -> float:
    """Return a ratio that is 1 or more, whichever of the two is larger."""
    return max(ratio, 1 / ratio if ratio else inf)
