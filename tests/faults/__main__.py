"""Inject random faults, and account for every delivery: python -m tests.faults."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import click

from tests.faults.run import Outcome, run
from tests.faults.verdict import Missing

TOGETHER_SECONDS = 0.5
"""Unexplained messages of one listener that were sent no further apart are shown as one line."""


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=60.0, help="How long faults are injected.")
@click.option("--seed", type=int, help="Chooses the faults; any without it.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Leave the gateways' logs here.")
def main(seconds: float, seed: int | None, folder: Path | None) -> None:
    """Inject random faults, and account for every delivery that was not made.

    The exit code is 1 when the relay did not keep what it promises.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with redirect_stdout(StringIO()):  # the gateways' logs, which are shown when a test fails
        outcome = asyncio.run(run(seconds, secrets.randbelow(2**32) if seed is None else seed, folder))
    for line in report(outcome):
        click.echo(line)
    raise SystemExit(0 if outcome else 1)


def report(outcome: Outcome) -> list[str]:
    """Return what came of a run, in lines. Times are seconds from its begin."""
    verdict, began = outcome.verdict, outcome.began
    lines = [f"seed {outcome.seed}"]
    lines += [f"{fault.began - began:8.3f} to {fault.ended - began:8.3f}  {fault.what}" for fault in outcome.faults]
    gaps = sorted(outcome.record.gaps, key=lambda gap: gap.began)
    lines += [f"{gap.began - began:8.3f} to {gap.ended - began:8.3f}  gap of gateway {gap.slot}" for gap in gaps]
    lines.append(f"{len(outcome.faults)} faults, {len(outcome.record.sent)} messages, {verdict.deliveries} deliveries")
    endings = Counter(hearing.ending for hearing in outcome.record.hearings if hearing.ended is not None)
    lines += [f"{count:8} listeners' connections ended with {ending}" for ending, count in endings.items()]
    lines += [
        f"{count:8} publishers' connections ended with {ending}" for ending, count in outcome.record.closed.items()
    ]
    lines += [f"{count:8} not made, told: {who}" for who, count in verdict.explained.items()]
    lines += [f"UNTRUE {label}: refused, and delivered" for label in verdict.untrue]
    lines += [f"OVERTAKEN {label} at {outcome.record.sent[label].at - began:.3f}" for label in verdict.overtaken]
    lines += [f"WRONG {text}" for text in verdict.wrong]
    lines += [f"TROUBLE {text}" for text in outcome.trouble]
    lines.append(f"{len(verdict.unexplained):8} UNEXPLAINED")
    lines += [f"  {line}" for line in _together(verdict.unexplained, began)]
    return lines


def _together(unexplained: list[Missing], began: float) -> Iterator[str]:
    """Yield a line for each spell in which a listener did not get messages."""
    spells: list[list[Missing]] = []
    for missing in sorted(unexplained, key=lambda missing: (missing.hearing.listener, missing.sent.at)):
        last = spells[-1][-1] if spells else None
        if last and last.hearing is missing.hearing and missing.sent.at - last.sent.at < TOGETHER_SECONDS:
            spells[-1].append(missing)
        else:
            spells.append([missing])
    for spell in spells:
        first, last, hearing = spell[0], spell[-1], spell[0].hearing
        nowhere = sum(missing.published is None for missing in spell)
        end = "open" if hearing.ended is None else f"to {hearing.ended - began:.3f} {hearing.ending}"
        yield (
            f"{len(spell)} messages, sent from {first.sent.at - began:.3f}"
            f" ({first.label.publisher} {first.label.number}) to {last.sent.at - began:.3f}, did not reach"
            f" {hearing.listener} (from {hearing.began - began:.3f}, {end}); {nowhere} of them were never published"
        )


if __name__ == "__main__":
    main()
