"""Measure the relay against the everyday relay: python -m bench."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial
from pathlib import Path

import click

from . import machine
from .measures import Launch
from .servers import redis_server, server
from .suite import Suite
from .table import print_table, write_json

SERVERS = ("everyday", "relay")
MEASURES = ("fanout", "sse", "throughput", "publish", "idle")


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice(MEASURES), help="Measure only this.")
@click.option("--server", "servers", multiple=True, type=click.Choice(SERVERS), help="Only this.")
@click.option("--seconds", default=5.0, help="Length of each run of the measures but idle.")
@click.option("--rounds", default=3, help="Rounds of fanout, sse and publish; the median counts.")
@click.option("--idle-seconds", default=50.0, help="How long idle connections are watched.")
@click.option("--connections", default=10_000, help="Number of idle connections.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results here.")
@click.option("--event-loop", default="auto", type=click.Choice(("auto", "uvloop", "asyncio")))
@click.option("--relay-command", default=f"{sys.executable} -m relay serve", help="What to start.")
def main(
    only: tuple[str, ...],
    servers: tuple[str, ...],
    seconds: float,
    rounds: int,
    idle_seconds: float,
    connections: int,
    patience: float,
    file: Path | None,
    event_loop: str,
    relay_command: str,
) -> None:
    """Measure the relay against the everyday relay, and print one table.

    The exit code is 1 when a bar is missed, when the relay lost, duplicated or reordered a
    message, and when the machine was too busy to tell.
    """
    head = machine.description()
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    commands = {
        "everyday": [sys.executable, "-m", "bench.everyday"],
        "relay": shlex.split(relay_command),
        "floor": [sys.executable, "-m", "bench.floor"],
    }
    with redis_server() as bus:
        launches: dict[str, Launch] = {
            name: partial(server, name, command, bus, event_loop) for name, command in commands.items()
        }
        under_test = {name: launches[name] for name in SERVERS if name in (servers or SERVERS)}
        suite = Suite(under_test, launches["floor"], seconds, rounds, patience)
        for name in only or MEASURES:
            if name == "idle":
                suite.idle(idle_seconds, connections)
            else:
                getattr(suite, name)()
    print_table(suite.rows, head)
    if file:
        write_json(suite.rows, head, file)
    if any(row.failed for row in suite.rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
