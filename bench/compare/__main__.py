"""Compare the working tree with another commit: python -m bench.compare REV."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import click

from .. import machine
from ..measures import Launch
from ..servers import Redis, redis_server, server
from .comparison import AFTER, BEFORE, Comparison, turns
from .interruption import Interruption
from .measures import MEASURES, Measure, Options
from .sides import NoSuchSide, Side, sides
from .table import print_table, write_json

ROOT = Path(__file__).resolve().parents[2]
SPARE_FILES = 200  # besides the clients
MOST_CLIENTS = 1010  # of the measures without --connections


@click.command(context_settings={"show_default": True})
@click.argument("revision")
@click.option("--pairs", default=5, type=click.IntRange(1), help="Pairs of runs of each measure.")
@click.option("--only", multiple=True, type=click.Choice(list(MEASURES)), help="Measure only this.")
@click.option(
    "--seconds",
    default=5.0,
    type=click.FloatRange(0.1),
    help="Length of each run, without its warm-up; idle: 25 at least.",
)
@click.option("--connections", default=10_000, type=click.IntRange(1), help="Number of idle connections.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything here.")
@click.option("--fail-above", type=click.FloatRange(0), help="End with code 1 when a ratio is worse, such as 1.03.")
def main(
    revision: str,
    pairs: int,
    only: tuple[str, ...],
    seconds: float,
    connections: int,
    patience: float,
    file: Path | None,
    fail_above: float | None,
) -> None:
    """Measure the working tree beside a commit of git, in pairs of runs, and print one table.

    The gateways of both sides run with the same interpreter and the same dependencies, one at a time, alone on one
    core; Redis and the clients, which are those of the working tree, share the others.
    """
    interruption = Interruption()
    chosen = [MEASURES[name] for name in MEASURES if name in (only or MEASURES)]
    clients = max(MOST_CLIENTS, connections) if "idle" in (only or MEASURES) else MOST_CLIENTS
    machine.raise_file_limit(clients + SPARE_FILES)
    head = machine.description()
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    comparisons: list[Comparison] = []
    try:
        with sides(revision, ROOT) as (before, after), redis_server() as bus:
            titles = {BEFORE: before.title, AFTER: after.title}
            head += "".join(f"\n{name}: {title}" for name, title in titles.items())
            launches: dict[str, Launch] = {BEFORE: launch(before, bus), AFTER: launch(after, bus)}
            for measure in chosen:
                patience -= machine.wait_until_quiet(max(0.0, patience))
                comparisons += compare(measure, launches, pairs, Options(seconds, connections), interruption)
    except NoSuchSide as problem:
        raise click.ClickException(str(problem)) from None
    print_table(comparisons, head, fail_above)
    if file:
        write_json(comparisons, head, titles, file)
    if fail_above is not None and any(comparison.fails(fail_above) for comparison in comparisons):
        raise SystemExit(1)


def launch(side: Side, bus: Redis) -> Launch:
    """Return what starts a gateway of a side."""
    command = [sys.executable, "-m", "relay", "serve"]
    # A gateway that is still starting when its folder is removed would make the folder again, to write bytecode.
    settings = {"PYTHONDONTWRITEBYTECODE": "1"}
    return partial(server, "relay", command, bus, "auto", folder=side.folder, settings=settings)


def compare(
    measure: Measure, launches: dict[str, Launch], pairs: int, options: Options, interruption: Interruption
) -> list[Comparison]:
    """Run one measure in pairs, and say on stderr what each run showed."""
    comparisons = [Comparison(figure) for figure in measure.figures]
    for number, order in enumerate(turns(pairs), 1):
        interruption.check()
        readings = {side: measure.read(launches[side], options) for side in order}
        for i, comparison in enumerate(comparisons):
            comparison.add({side: readings[side][i] for side in order})
            figure, before, after = comparison.figure, comparison.before[-1].value, comparison.after[-1].value
            values = f"{before:,.{figure.digits}f} -> {after:,.{figure.digits}f} {figure.unit}"
            click.echo(f"pair {number} of {pairs}: {figure.name}: {values}", err=True)
    return comparisons


if __name__ == "__main__":
    main()
