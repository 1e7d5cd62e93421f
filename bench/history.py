"""What histories cost: python -m bench.history.

One gateway has plain channels, and channels with the last 100 messages of 5 minutes. Both kinds take turns, with the
same load: what a publish costs the gateway and Redis, and what a delivery costs the gateway.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from . import machine
from .compare.comparison import AFTER, BEFORE, Comparison, Figure, turns
from .compare.interruption import Interruption
from .compare.table import notes, ratio, spread, write_json
from .fleet import TICK
from .measures import RARE_LOOK, Launch
from .reading import Reading
from .run import drive
from .servers import Redis, redis_server, server

NAMESPACE = "kept"
NAMESPACES = {NAMESPACE: {"history_size": 100, "history_ttl": 300}}
SIDES = {BEFORE: "", AFTER: f"{NAMESPACE}:"}  # what the names of the channels begin with
TITLES = {BEFORE: "plain channels", AFTER: "channels with history 100"}
MOST_GATEWAY, MOST_REDIS, MOST_FANOUT = 1.6, 4.0, 1.05  # times what a plain channel costs


@dataclass(frozen=True)
class Load:
    """What is published.

    Args:
        name: for people.
        channels: number of channels.
        subscribers: clients of each channel that only listen.
        publishers: in all, dealt out to the channels.
        rate: messages/s of all publishers together.
        look: ns between two looks at the sockets.
    """

    name: str
    channels: int
    subscribers: int
    publishers: int
    rate: float
    look: int = TICK

    @property
    def figures(self) -> dict[str, tuple[Figure, float]]:
        """What is read off, by whose CPU it is, with the largest ratio."""
        if self.subscribers > 1:
            return {"gateway": (Figure(self.name, "µs of the gateway per delivery"), MOST_FANOUT)}
        return {
            "gateway": (Figure(self.name, "µs of the gateway per message"), MOST_GATEWAY),
            "redis": (Figure(self.name, "µs of Redis per message"), MOST_REDIS),
        }


LOADS = {
    "fanout": Load("fan-out, 1000 clients, 100 msg/s", 1, 1000, 1, 100, RARE_LOOK),
    "publish": Load("20 channels, 10 k msg/s", 20, 1, 20, 10_000),
    "one": Load("1 channel, 10 k msg/s", 1, 1, 1, 10_000),
    "one-deep": Load("1 channel, 50 k msg/s", 1, 1, 1, 50_000),
    "many-deep": Load("50 channels, 50 k msg/s", 50, 1, 50, 50_000),
}


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(list(LOADS)), help="Measure only this.")
@click.option("--pairs", default=5, type=click.IntRange(1), help="Pairs of runs of each load; the medians count.")
@click.option("--seconds", default=4.0, type=click.FloatRange(0.1), help="Length of each run, without its warm-up.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything here.")
def main(only: tuple[str, ...], pairs: int, seconds: float, patience: float, file: Path | None) -> None:
    """Measure plain channels and channels with a history in turns, and print one table.

    The exit code is 1 when a figure is above its limit, and when a message was lost, duplicated or reordered.
    """
    interruption = Interruption()
    machine.raise_file_limit(1200)
    head = machine.description()
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    rows: list[tuple[Comparison, float]] = []
    with redis_server() as bus:
        for name in only or LOADS:
            patience -= machine.wait_until_quiet(max(0.0, patience))
            rows += compare(LOADS[name], launch(bus), pairs, seconds, interruption)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(rows, head))
    for comparison, _ in rows:
        for line in notes(comparison):
            console.print(f"{comparison.figure.name}: {line}", style="yellow", highlight=False, soft_wrap=True)
    if file:
        write_json([comparison for comparison, _ in rows], head, TITLES, file)
    if any(comparison.fails(most) for comparison, most in rows):
        raise SystemExit(1)


def launch(bus: Redis) -> Launch:
    """Return what starts a gateway that has both kinds of channels."""
    settings = {
        "RELAY_NAMESPACES": json.dumps(NAMESPACES),
        "RELAY_MAX_MESSAGES_PER_SECOND": "0",
        "RELAY_MAX_BYTES_PER_SECOND": "0",
    }
    return partial(server, "relay", [sys.executable, "-m", "relay", "serve"], bus, "auto", settings=settings)


def compare(
    load: Load, start: Launch, pairs: int, seconds: float, interruption: Interruption
) -> list[tuple[Comparison, float]]:
    """Run a load on both kinds of channels in turns, and return its figures, each with its largest ratio."""
    rows = {whose: (Comparison(figure), most) for whose, (figure, most) in load.figures.items()}
    for number, order in enumerate(turns(pairs), 1):
        interruption.check()
        readings = {side: read(load, start, seconds, SIDES[side]) for side in order}
        for whose, (comparison, _) in rows.items():
            comparison.add({side: readings[side][whose] for side in order})
            plain, kept = comparison.before[-1].value, comparison.after[-1].value
            values = f"{plain:,.2f} plain, {kept:,.2f} with a history, {comparison.figure.unit}"
            click.echo(f"pair {number} of {pairs}: {load.name}: {values}", err=True)
    return list(rows.values())


def read(load: Load, start: Launch, seconds: float, namespace: str) -> dict[str, Reading]:
    """Run a load once; return the CPU of the gateway and of Redis per delivery, in µs."""
    with start(None) as started:
        run = drive(
            started,
            load.channels,
            load.subscribers,
            load.publishers,
            load.rate,
            seconds,
            load.look,
            namespace=namespace,
        )
    flaw = f"{run.window.unsent} unsent" if run.window.unsent else ""
    redis = run.window.clocks.redis / max(1, run.window.deliveries) * 1e6
    return {"gateway": run.reading(run.delivery_cost, flaw), "redis": run.reading(redis, flaw)}


def table(rows: Iterable[tuple[Comparison, float]], head: str) -> Table:
    """Return the table of all figures, with a line about the machine above them."""
    made = Table(title=head, title_justify="left")
    made.add_column("figure")
    made.add_column("unit")
    for name in ("plain: min / median / max", "with history", "median of ratios", "at most", "lost/dup/reordered"):
        made.add_column(name, justify="right")
    for comparison, most in rows:
        color = "red" if comparison.fails(most) else "green"
        made.add_row(
            comparison.figure.name,
            comparison.figure.unit,
            spread(comparison, BEFORE),
            spread(comparison, AFTER),
            f"[{color}]{ratio(comparison.pair_ratio)}[/]",
            f"{most:g}",
            f"{comparison.tally(BEFORE)} | {comparison.tally(AFTER)}",
        )
    return made


if __name__ == "__main__":
    main()
