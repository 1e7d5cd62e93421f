"""The result of a comparison: as a table, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from ..table import BUSY
from .comparison import AFTER, BEFORE, Comparison


def spread(comparison: Comparison, side: str) -> str:
    """Return the smallest, the middle and the largest value of a side."""
    values = [reading.value for reading in comparison.readings(side)]
    return " / ".join(f"{value:,.{comparison.figure.digits}f}" for value in (min(values), median(values), max(values)))


def notes(comparison: Comparison) -> list[str]:
    """Return what makes a comparison doubtful, a line for each."""
    lines = []
    for side in (BEFORE, AFTER):
        readings = comparison.readings(side)
        lines += [f"{side}: {reading.flaw}" for reading in readings if reading.flaw]
        if held_up := sum(reading.disturbed for reading in readings):
            lines.append(f"{side}: others held up {held_up} of {len(readings)} runs")
        if any(reading.client_cpu + reading.redis_cpu > BUSY for reading in readings):
            lines.append(f"{side}: clients and Redis were busy")
    return lines


def build_table(comparisons: Sequence[Comparison], head: str, limit: float | None) -> Table:
    """Return the table of all figures, with a line about the machine above them.

    Args:
        comparisons: of at least one pair each.
        head: the line.
        limit: what no ratio may be worse than; None for no verdict.
    """
    table = Table(title=head, title_justify="left", show_lines=True)
    table.add_column("figure")
    for name in ("before: min / median / max", "after: min / median / max", "ratio of medians", "median of ratios"):
        table.add_column(name, justify="right")
    table.add_column("pairs worse", justify="right")
    table.add_column("lost/dup/reordered")
    if limit is not None:
        table.add_column(f"<= {limit:g}")
    for row in comparisons:
        cells = [
            f"{row.figure.name}\n[dim]{row.figure.unit}[/]",
            spread(row, BEFORE),
            spread(row, AFTER),
            ratio(row.ratio_of_medians),
            ratio(row.pair_ratio),
            f"{row.worse_pairs} of {len(row.pair_ratios)}",
            f"{row.tally(BEFORE)} | {row.tally(AFTER)}",
        ]
        if limit is not None:
            cells.append("[red]FAIL[/]" if row.fails(limit) else "[green]pass[/]")
        table.add_row(*cells)
    return table


def ratio(value: float | None) -> str:
    """Return a ratio for people."""
    return "-" if value is None else f"{value:.3f}"


def print_table(comparisons: Sequence[Comparison], head: str, limit: float | None) -> None:
    """Print all figures, and what makes them doubtful."""
    # In a pipe the table keeps its own width instead of being cut at 80 columns.
    console = Console() if Console().is_terminal else Console(width=170)
    console.print(build_table(comparisons, head, limit))
    console.print("Ratios are after by before; of deliveries/s and handshakes/s more is better.", style="dim")
    for comparison in comparisons:
        for line in notes(comparison):
            console.print(f"{comparison.figure.name}: {line}", style="yellow", highlight=False, soft_wrap=True)


def write_json(comparisons: Sequence[Comparison], head: str, titles: dict[str, str], path: Path) -> None:
    """Write all readings and ratios to a file; titles says what was compared."""
    rows = [
        asdict(comparison)
        | {
            "ratio_of_medians": comparison.ratio_of_medians,
            "pair_ratios": comparison.pair_ratios,
            "pair_ratio": comparison.pair_ratio,
            "worse_pairs": comparison.worse_pairs,
        }
        for comparison in comparisons
    ]
    path.write_text(json.dumps({"machine": head, "sides": titles, "figures": rows}, indent=2) + "\n")
