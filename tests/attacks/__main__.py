"""Attack gateways, and look what healthy clients notice: python -m tests.attacks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from statistics import median
from typing import Final

import click

from tests.attacks.catalogue import ATTACKS, CORE
from tests.attacks.repetitions import Repetitions
from tests.attacks.siege import besiege
from tests.attacks.verdict import Outcome, Verdict, conclude

CORE_SPAN_SECONDS: Final = 1.0
SPAN_SECONDS: Final = 2.0

COLUMNS = (
    "attack",
    "connections",
    "MB sent",
    "CPU",
    "quiet p99",
    "attacked p99",
    "times",
    "control",
    "worst newcomer",
    "memory, before, at most, after",
    "verdict",
)


@click.command(context_settings={"show_default": True})
@click.option("--span", type=float, help="Seconds of each span.  [default: 2; 1 with --core]")
@click.option("--core", is_flag=True, help="Only one attack of each kind.")
@click.option("--event-loop", default="auto", type=click.Choice(["auto", "asyncio", "uvloop"]), help="Of the gateway.")
@click.argument("names", nargs=-1, type=click.Choice(list(ATTACKS)))
def main(span: float | None, core: bool, event_loop: str, names: Sequence[str]) -> None:
    """Attack a gateway in each way, or in those that are named.

    The exit code is 1 when healthy clients noticed, and 2 when for most attacks that could not be told.
    """
    seconds = span or (CORE_SPAN_SECONDS if core else SPAN_SECONDS)
    click.echo(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    verdicts = {}
    repetitions = Repetitions()
    for name in names or (CORE if core else ATTACKS):

        def measure(name: str = name) -> Outcome:
            with redirect_stdout(StringIO()):  # the gateways' logs, which are shown when a test fails
                return besiege(ATTACKS[name], seconds, event_loop)

        for outcome in repetitions.attempts(measure):
            verdicts[name] = outcome.verdict
            click.echo(row(name, outcome, outcome.verdict))
    code, sentence = conclude(verdicts)
    click.echo(sentence)
    raise SystemExit(code)


def row(name: str, outcome: Outcome, verdict: Verdict) -> str:
    """Return a row of the table."""
    refused = (f"{n:,} times {what}" for what, n in outcome.met.items() if what.isdigit())
    cells = (
        name,
        ", ".join([f"{outcome.met['connections']:,}", *refused]),
        f"{outcome.met['bytes'] / 1e6:.1f}",
        f"{outcome.cpu_share:.0%}",
        f"{median(span.p99 for span in outcome.calm) * 1000:.1f} ms",
        f"{median(span.p99 for span in outcome.attacked) * 1000:.1f} ms",
        f"{outcome.times:.1f}",
        f"{outcome.control_times:.1f}",
        f"{max(outcome.newcomers, default=0.0):.2f} s",
        ", ".join(f"{size / 1e6:.0f}" for size in (outcome.memory_before, outcome.memory_peak, outcome.memory_after)),
        ": ".join([verdict.judgement.value, *["; ".join(verdict.reasons[:3])] * bool(verdict.reasons)]),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
