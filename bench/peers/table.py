"""The scores as tables: on the terminal, as Markdown, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .score import Score, least_disturbed
from .workloads import WORKLOADS, Workload

Column = tuple[str, Callable[[Score], str]]


@dataclass
class Report:
    """Everything that is shown.

    Args:
        conditions: what → value: the machine, the Redis, how long.
        versions: title of a peer → its versions.
        titles: name of a peer → its title.
        skipped: title of a peer → why it was not measured.
        failed: title of a peer and workload → why there are no figures.
        rounds: all of them, in their order.
    """

    conditions: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rounds: list[Score] = field(default_factory=list)

    def of(self, workload: Workload) -> list[Score]:
        """Return the scores of one workload, one of each peer."""
        runs: dict[str, list[Score]] = {}
        for score in self.rounds:
            if score.workload == workload.name:
                runs.setdefault(score.peer, []).append(score)
        return [least_disturbed(rounds) for rounds in runs.values()]


def amount(value: float | None, form: str = "{:.1f}") -> str:
    """Return a number, or a dash for none."""
    return "-" if value is None else form.format(value)


def milliseconds(value: float | None) -> str:
    """Return a time, with as many digits as mean something."""
    return amount(value, "{:.2f} ms" if value is not None and value < 10 else "{:,.0f} ms")


def share(value: float | None) -> str:
    """Return a share of a core."""
    return amount(value, "{:.0%}")


def faults(score: Score) -> str:
    """Return everything that must not happen but losses."""
    return ", ".join(f"{count:,} {what}" for what, count in score.faults.items()) or "none"


def cost(score: Score) -> str:
    """Return the CPU cost, and that of the cheapest and the dearest round."""
    text = amount(score.cost, "{:.2f} µs")
    return f"{text} ({score.costs[0]:.2f} to {score.costs[-1]:.2f})" if len(score.costs) > 1 else text


def lost(score: Score) -> str:
    """Return the losses, and those of the best and the worst round where they differ."""
    best, worst = score.losses[0], score.losses[-1]
    return f"{score.lost:,} ({best:,} to {worst:,})" if best < worst else f"{score.lost:,}"


BUSY: list[Column] = [
    ("deliveries/s", lambda s: amount(s.deliveries, "{:,.0f}")),
    ("deliveries per CPU-second", lambda s: amount(s.deliveries_per_cpu_second, "{:,.0f}")),
    ("CPU per delivery", cost),
    ("server CPU", lambda s: share(s.server_cpu)),
    ("p50", lambda s: milliseconds(s.p50_ms)),
    ("p99", lambda s: milliseconds(s.p99_ms)),
    ("lost", lost),
    ("other faults, worst round", faults),
    ("RSS per connection", lambda s: amount(s.rss_kb, "{:.1f} KB")),
    ("Redis CPU", lambda s: share(s.redis_cpu)),
    ("generator CPU", lambda s: share(s.generator_cpu)),
    ("stolen", lambda s: share(s.stolen)),
]

IDLE: list[Column] = [
    ("RSS per connection", lambda s: amount(s.rss_kb, "{:.1f} KB")),
    ("CPU per connection and second", cost),
    ("connects/s", lambda s: amount(s.connect_rate, "{:,.0f}")),
    ("handshake p99", lambda s: milliseconds(s.handshake_p99_ms)),
    ("lost in the roll call", lost),
    ("other faults, worst round", faults),
    ("generator CPU", lambda s: share(s.generator_cpu)),
    ("stolen", lambda s: share(s.stolen)),
]


def columns(workload: Workload) -> list[Column]:
    """Return what is shown of a workload."""
    return IDLE if workload.idle else BUSY


def print_report(report: Report) -> None:
    """Print all tables, and what makes them doubtful."""
    console = Console() if Console().is_terminal else Console(width=200)
    for what, value in report.conditions.items():
        console.print(f"{what}: {value}", style="dim", highlight=False)
    for workload in WORKLOADS:
        if not (scores := report.of(workload)):
            continue
        table = Table(title=f"{workload.name}: {workload.title}", title_justify="left")
        table.add_column("server")
        for name, _ in columns(workload):
            table.add_column(name, justify="right")
        for score in scores:
            cells = [render(score) for _, render in columns(workload)]
            table.add_row(report.titles[score.peer], *cells, style=None if score.clean else "yellow")
        console.print(table)
        for score in scores:
            for warning in score.warnings:
                console.print(f"{report.titles[score.peer]}: {warning}", style="yellow", highlight=False)
    for what, why in report.failed.items():
        console.print(f"no figures for {what}: {why}", style="red", highlight=False, markup=False)
    for peer, why in report.skipped.items():
        console.print(f"skipped {peer}: {why}", style="yellow", highlight=False, markup=False)


def markdown(report: Report) -> str:
    """Return all tables as Markdown."""
    lines: list[str] = []
    for workload in WORKLOADS:
        if not (scores := report.of(workload)):
            continue
        names = ["server", *(name for name, _ in columns(workload))]
        lines += [f"### {workload.title}", "", row(names), row(["---"] + ["--:"] * (len(names) - 1))]
        for score in scores:
            lines.append(row([report.titles[score.peer], *(render(score) for _, render in columns(workload))]))
        lines.append("")
    for what, value in (report.conditions | report.versions).items():
        lines.append(f"* {what}: {value}")
    lines += [f"* no figures for {what}: {why}" for what, why in report.failed.items()]
    lines += [f"* skipped {peer}: {why}" for peer, why in report.skipped.items()]
    return "\n".join(lines) + "\n"


def row(cells: list[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def write_json(report: Report, file: Path) -> None:
    """Write everything to a file."""
    file.write_text(json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n")
