"""The ways to fan out beside a bare loop of send() in C: python -m bench.fan_out.

One message to 1,000 clients, 100 times a second, on servers that run in turns on one core: the loop first, which
has no Redis and no event loop, then the relay in each way. What counts is the server's CPU per delivery, and its
ratio to that of the loop in the same round. Where other work runs beside it: chrt -f 10 python -m bench.fan_out.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import click

from . import machine, measures
from .servers import Redis, Server, redis_server, server

WAYS = ("io_uring", "send", "python")

Launch = Callable[[float | None], AbstractContextManager[Server]]


def launches(bus: Redis) -> dict[str, Launch]:
    """Return how each server is started, by name."""
    loop = [sys.executable, "-m", "bench.floor"]
    relay = [sys.executable, "-m", "relay", "serve"]
    found: dict[str, Launch] = {"loop": partial(server, "floor", loop, bus, "auto", settings={"FLOOR_LOOP": "C"})}
    for way in WAYS:
        found[way] = partial(server, "relay", relay, bus, "auto", settings={"RELAY_FANOUT": way})
    return found


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=5, help="Rounds; the median counts.")
@click.option("--seconds", default=4.0, help="Length of each run.")
def main(rounds: int, seconds: float) -> None:
    """Measure the ways to fan out beside a loop of send() in C."""
    click.echo(machine.description())
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    costs: dict[str, list[float]] = {}
    with redis_server() as bus:
        for _ in range(rounds):
            for name, launch in launches(bus).items():
                reading = measures.fanout(launch, seconds)
                if not reading.tally.clean:
                    raise SystemExit(f"{name}: {reading.tally}")
                costs.setdefault(name, []).append(reading.value)
                doubt = f"  held up: {reading.disturbances}" if reading.disturbed else ""
                click.echo(f"{name:10}{reading.value:6.2f} us per delivery{doubt}")
    for name, values in costs.items():
        ratio = statistics.median(value / loop for value, loop in zip(values, costs["loop"], strict=True))
        spread = f"{min(values):.2f} to {max(values):.2f}"
        click.echo(f"{name:10}{statistics.median(values):6.2f} us ({spread}), {ratio:.2f} x the loop")


if __name__ == "__main__":
    main()
