"""Attack gateways, and look what healthy clients notice: python -m tests.attacks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from statistics import median

import click

from tests.attacks.catalogue import ATTACKS, CORE
from tests.attacks.siege import Outcome, besiege

COLUMNS = (
    "attack",
    "visits",
    "CPU",
    "quiet p99",
    "attacked p99",
    "times",
    "worst newcomer",
    "memory, before, at most, after",
    "verdict",
)


@click.command(context_settings={"show_default": True})
@click.option("--span", default=2.0, help="Seconds of each of the quiet and attacked spans.")
@click.option("--core", is_flag=True, help="Only one attack of each kind.")
@click.option("--event-loop", default="auto", type=click.Choice(["auto", "asyncio", "uvloop"]), help="Of the gateway.")
@click.argument("names", nargs=-1, type=click.Choice(list(ATTACKS)))
def main(span: float, core: bool, event_loop: str, names: Sequence[str]) -> None:
    """Attack a gateway in each way, or in those that are named. The exit code is 1 when healthy clients noticed."""
    click.echo(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    failed = False
    for name in names or (CORE if core else ATTACKS):
        with redirect_stdout(StringIO()):  # the gateways' logs, which are shown when a test fails
            outcome = besiege(ATTACKS[name], span, event_loop)
        click.echo(row(name, outcome))
        failed |= bool(outcome.verdict)
    raise SystemExit(failed)


def row(name: str, outcome: Outcome) -> str:
    """Return a row of the table."""
    cells = (
        name,
        ", ".join(
            [
                f"{outcome.met['visits']:,}",
                *(f"{n:,} times {what}" for what, n in outcome.met.items() if what.isdigit()),
            ]
        ),
        f"{outcome.cpu_share:.0%}",
        f"{median(outcome.quiet) * 1000:.1f} ms",
        f"{median(outcome.attacked) * 1000:.1f} ms",
        f"{outcome.times:.1f}",
        f"{max(outcome.newcomers):.2f} s",
        ", ".join(f"{size / 1e6:.0f}" for size in (outcome.memory_before, outcome.memory_peak, outcome.memory_after)),
        "; ".join(outcome.verdict[:3]) or "as it should be",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
