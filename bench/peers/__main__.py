"""Measure the relay beside others: python -m bench.peers."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import click

from .. import machine
from ..servers import Redis, redis_server
from .centrifugo import Centrifugo
from .nchan import Nchan
from .node import SocketIO, Ws
from .peer import Peer, output_of
from .python import Everyday, Relay, RelayOverCentrifuge
from .table import Report, markdown, print_report, write_json
from .trial import TrialFailed, trial
from .uwebsockets import UWebSockets
from .workloads import WORKLOADS, Workload

PEERS: tuple[type[Peer], ...] = (Relay, RelayOverCentrifuge, Everyday, Ws, SocketIO, Nchan, Centrifugo, UWebSockets)
SPARE_FILES = 200


def default_cache() -> Path:
    """Return the folder in which peers are installed: outside the repository, kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "relay-bench"


@click.command(context_settings={"show_default": True})
@click.option("--only", multiple=True, type=click.Choice([p.name for p in PEERS]), help="Measure only this server.")
@click.option("--workload", "names", multiple=True, type=click.Choice([w.name for w in WORKLOADS]), help="Only this.")
@click.option("--seconds", default=10, help="Length of a run; idle clients are watched for 50 at least.")
@click.option("--rounds", default=3, help="Rounds of each load; the least disturbed one counts.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything here.")
@click.option("--markdown", "page", type=click.Path(path_type=Path), help="Write the tables here, as Markdown.")
@click.option("--cache", type=click.Path(path_type=Path), default=default_cache, help="Where servers are installed.")
def main(
    only: tuple[str, ...],
    names: tuple[str, ...],
    seconds: int,
    rounds: int,
    patience: float,
    file: Path | None,
    page: Path | None,
    cache: Path,
) -> None:
    """Run the same loads against the relay and its peers, one after the other, and print what was seen.

    Each server has one core for itself; Redis, shared by all, and the load test run on the others. What is missing
    is installed first, into a cache folder; a server that can't be installed is named with the reason.
    """
    conditions = {"machine": machine.description(), "redis": output_of("redis-server", "--version")}
    report = Report(conditions | {"runs": f"{rounds} of {seconds} s after 2 s of warm-up"})
    chosen = [w for w in WORKLOADS if w.name in (names or [w.name])]
    machine.raise_file_limit(max(w.clients for w in chosen) + SPARE_FILES)
    peers = install([peer for peer in PEERS if peer.name in (only or [peer.name])], cache.absolute(), report)
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    with redis_server() as bus:
        for workload, _, peer in product(chosen, range(rounds), peers):
            patience -= machine.wait_until_quiet(max(0.0, patience))
            measure(peer, workload, seconds, bus, report)
    print_report(report)
    if file:
        write_json(report, file)
    if page:
        page.write_text(markdown(report))


def install(chosen: list[type[Peer]], cache: Path, report: Report) -> list[Peer]:
    """Return those that can be measured; the report names the others."""
    peers = []
    for kind in chosen:
        peer = kind(cache / kind.name)
        click.echo(f"{peer.title}: looking, and installing what is missing", err=True)
        if reason := peer.install():
            click.echo(f"{peer.title}: skipped: {reason}", err=True)
            report.skipped[peer.title] = reason
        else:
            report.versions[peer.title] = peer.version()
            report.titles[peer.name] = peer.title
            peers.append(peer)
    return peers


def measure(peer: Peer, workload: Workload, seconds: int, bus: Redis, report: Report) -> None:
    """Run one peer under one load, and keep the score."""
    click.echo(f"{workload.name}: {peer.title}", err=True)
    try:
        report.rounds.append(trial(peer, workload, seconds, bus))
    except TrialFailed as failure:
        click.echo(f"{workload.name}: {peer.title}: no figures: {failure}", err=True)
        report.failed[f"{peer.title}, {workload.name}"] = " ".join(str(failure).split())


if __name__ == "__main__":
    main()
