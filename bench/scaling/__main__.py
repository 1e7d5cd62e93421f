"""Measure what more gateways cost: python -m bench.scaling."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from .. import machine
from ..loadtest import LoadTestFailed
from ..servers import redis_server
from .deployment import Cost, Shape, measure
from .page import markdown, picture

# Enough deliveries that a gateway's own housekeeping doesn't count.
FAN_OUT = [Shape(gateways, 200, 50) for gateways in (1, 2, 4, 8)]
# Enough messages that Redis' own housekeeping doesn't count.
BUS = [Shape(gateways, 10, 1000) for gateways in (1, 2, 4, 8)]
CLIENTS = [Shape(2, clients, 1000) for clients in (5, 10, 20, 40, 80)]


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=10, help="Length of a run.")
@click.option("--rounds", default=3, help="Rounds; the median counts.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Draw the costs into this folder.")
def main(seconds: int, rounds: int, patience: float, pictures: Path | None) -> None:
    """Load 1, 2, 4 and 8 gateways, each with the same, and then two gateways with more and more clients.

    All gateways share one core, Redis and the load test the others.
    """
    click.echo(machine.description())
    machine.raise_file_limit(8000)
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    costs: list[Cost] = []
    with redis_server() as bus, tempfile.TemporaryDirectory(prefix="relay-scaling-") as folder:
        for _ in range(rounds):
            for shape in dict.fromkeys([*FAN_OUT, *BUS, *CLIENTS]):
                patience -= machine.wait_until_quiet(max(0.0, patience))
                try:
                    costs.append(measure(shape, seconds, bus, Path(folder)))
                except LoadTestFailed as failure:
                    click.echo(f"{shape}: no figures: {failure}", err=True)
                    continue
                click.echo(str(costs[-1]), err=True)
    for shapes in (FAN_OUT, BUS, CLIENTS):
        click.echo(f"\n{markdown([cost for cost in costs if cost.shape in shapes])}")
    if pictures:
        fan_out = [cost for cost in costs if cost.shape in FAN_OUT]
        bus_costs = [cost for cost in costs if cost.shape in BUS]
        draw(pictures / "scaling.svg", picture(fan_out, "Gateway CPU per delivery", lambda cost: cost.delivery_us))
        draw(pictures / "scaling-redis.svg", picture(bus_costs, "Redis CPU per message", lambda cost: cost.redis_us))


def draw(file: Path, svg: str) -> None:
    """Write a picture."""
    file.write_text(svg)
    click.echo(f"drawn: {file}", err=True)


if __name__ == "__main__":
    main()
