"""The result: rows, bars and the printed table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .reading import Reading

BUSY = 0.9  # share of a core above which clients and Redis may be what was measured


@dataclass
class Bar:
    """What the relay must reach: a limit on its value or on its ratio to what it is compared with."""

    limit: float
    text: str
    relative: bool = False
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value or ratio is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass
class Row:
    """One measure, with the reading of each server by name."""

    name: str
    unit: str
    bar: Bar | None
    readings: dict[str, Reading] = field(default_factory=dict)
    against: str = "everyday"  # what the relay is compared with

    @property
    def compared(self) -> tuple[str, str]:
        """The names of the two that are compared."""
        return self.against, "relay"

    @property
    def ratio(self) -> float | None:
        """The relay's value by the other's, or None when one is missing."""
        other, relay = self.readings.get(self.against), self.readings.get("relay")
        return relay.value / other.value if relay and other and other.value else None

    @property
    def verdict(self) -> str:
        """Return pass, FAIL or unsure; nothing without a bar, or to hold against it."""
        relay = self.readings.get("relay")
        if self.bar is None or relay is None or (self.bar.relative and self.ratio is None):
            return ""
        value = self.ratio if self.bar.relative else relay.value
        passed = value is not None and self.bar.met(value) and not relay.flaw
        # A server that is held up looks cheaper than it is (see reading.median), or slower.
        held_up = any(r.disturbed for name, r in self.readings.items() if name in self.compared)
        if held_up and (self.bar.relative or not passed):
            return "unsure"
        return "pass" if passed else "FAIL"

    @property
    def clean(self) -> bool:
        """Whether every delivery of every server was right."""
        return all(reading.tally.clean for reading in self.readings.values())

    @property
    def failed(self) -> bool:
        """Whether the bar is missed, or not shown to be met, or the relay made a mistake.

        What the everyday relay loses when it is driven too hard is shown, but is no failure.
        """
        relay = self.readings.get("relay")
        return self.verdict in ("FAIL", "unsure") or (relay is not None and not relay.tally.clean)

    def both(self, form: str, attribute: str) -> str:
        """Return an attribute of each reading, the relay's last, formatted."""
        return " | ".join(
            form.format(getattr(self.readings[name], attribute)) for name in self.compared if name in self.readings
        )


def amount(reading: Reading | None) -> str:
    """Return a value for the table, with its flaw and the p99 where there is one."""
    if reading is None:
        return "-"
    if reading.value >= 1e6:
        text = f"{reading.value / 1e6:.2f} M"
    elif reading.value >= 1e3:
        text = f"{reading.value / 1e3:.1f} k"
    else:
        text = f"{reading.value:.2f}"
    if reading.flaw:
        text += f"\n[red]{reading.flaw}[/]"
    if "p99_ms" in reading.details:
        text += f"\np99 {reading.details['p99_ms']:,.1f} ms"
    return text


def build_table(rows: list[Row], head: str) -> Table:
    """Return the table of all rows, with a line about the machine above them."""
    table = Table(title=head, title_justify="left", show_lines=True)
    table.add_column("measure")
    for name in ("everyday", "relay", "ratio"):
        table.add_column(name, justify="right")
    for name in ("bar", "", "lost/dup/reordered"):
        table.add_column(name)
    for name in ("client CPU", "Redis CPU", "server CPU"):
        table.add_column(name, justify="right")
    for row in rows:
        colour = {"pass": "green", "FAIL": "red"}.get(row.verdict, "yellow")
        tallies = row.both("{}", "tally")
        table.add_row(
            f"{row.name}\n[dim]{row.unit}[/]",
            ("" if row.against == "everyday" else f"{row.against}\n") + amount(row.readings.get(row.against)),
            amount(row.readings.get("relay")),
            f"{row.ratio:.2f}" if row.ratio is not None else "-",
            row.bar.text if row.bar else "-",
            f"[{colour}]{row.verdict}[/]",
            tallies if row.clean else f"[red]{tallies}[/]",
            row.both("{:.0%}", "client_cpu"),
            row.both("{:.0%}", "redis_cpu"),
            row.both("{:.0%}", "server_cpu"),
        )
    return table


def print_table(rows: list[Row], head: str) -> None:
    """Print all rows, and what makes them doubtful."""
    # In a pipe the table keeps its own width instead of being cut at 80 columns.
    console = Console() if Console().is_terminal else Console(width=170)
    console.print(build_table(rows, head))
    console.print("Where two values share a cell: everyday, or what is named instead | relay.", style="dim")
    for row in rows:
        if floor := row.readings.get("floor"):
            note = f"{row.name}: nothing but send() costs {floor.value:.2f} us here and now."
            console.print(note, highlight=False)
        for name in filter(row.readings.__contains__, row.compared):
            reading = row.readings[name]
            if reading.client_cpu + reading.redis_cpu > BUSY:
                note = f"{row.name}: clients and Redis were busy beside {name}."
                console.print(note, style="yellow")
            if reading.disturbed:
                held_up = ", ".join(f"{w} {s:.0%}" for w, s in reading.disturbances.items())
                note = f"{row.name}: beside {name}, others held up {held_up} of the time."
                console.print(note, style="yellow", highlight=False)


def write_json(rows: list[Row], head: str, path: Path) -> None:
    """Write all rows to a file."""
    content = [asdict(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in rows]
    path.write_text(json.dumps({"machine": head, "rows": content}, indent=2) + "\n")
