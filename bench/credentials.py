"""What tokens cost: python -m bench.credentials.

Gateways with RELAY_AUTH=none, with tokens of HS256 and with tokens of ES256 take turns on one core. Each client has a
token of its own, in a header; all are made before anything is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

import click
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.table import Table

from . import machine
from .compare.interruption import Interruption
from .fleet import abort
from .measures import Launch, handshakes
from .reading import Reading, median
from .run import WARM_UP
from .servers import Redis, redis_server, server
from .wire import open_many

MOST_HANDSHAKES = 8_000  # per second, for which there are tokens
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the measured gateways alone
LEAST_RATE = {"HS256": 0.85, "ES256": 0.65}  # handshakes/s, as a share of those without tokens
MOST_BYTES = 400  # more than without tokens, of each connection


@dataclass
class Mode:
    """One way in, and what was measured of it.

    Args:
        name: for people.
        settings: of its gateways.
        headers: a line for each client, with its token.
    """

    name: str
    settings: dict[str, str]
    headers: list[bytes]
    costs: list[Reading] = field(default_factory=list)
    rates: list[Reading] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def launch(self, bus: Redis) -> Launch:
        """Return what starts a gateway of it."""
        command = [sys.executable, "-m", "relay", "serve"]
        return partial(server, "relay", command, bus, "auto", settings=self.settings, headers=self.headers[0])


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=5, type=click.IntRange(1), help="Turns of each way in; the medians count.")
@click.option("--seconds", default=5.0, type=click.FloatRange(0.1), help="Length of each run, without its warm-up.")
@click.option("--connections", default=5_000, type=click.IntRange(1), help="Number of idle connections.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything here.")
def main(rounds: int, seconds: float, connections: int, patience: float, file: Path | None) -> None:
    """Measure handshakes and memory without tokens, with HS256 and with ES256, in turns, and print one table."""
    interruption = Interruption()
    machine.raise_file_limit(connections + 200)
    head = machine.description()
    modes = make_modes(max(connections, int((seconds + WARM_UP) * MOST_HANDSHAKES)))
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    with redis_server() as bus:
        for number in range(rounds):
            for mode in modes[number % len(modes) :] + modes[: number % len(modes)]:
                interruption.check()
                patience -= machine.wait_until_quiet(max(0.0, patience))
                cost, rate = handshakes(mode.launch(bus), seconds, headers=cycle(mode.headers))
                mode.costs.append(cost)
                mode.rates.append(rate)
                mode.memory.append(memory(mode.launch(bus), connections, cycle(mode.headers)))
                values = f"{rate.value:,.0f} handshakes/s, {cost.value:.1f} µs, {mode.memory[-1]:,.0f} bytes"
                click.echo(f"round {number + 1} of {rounds}: {mode.name}: {values}", err=True)
    Console(width=None if sys.stdout.isatty() else 150).print(table(modes, head))
    if file:
        file.write_text(json.dumps([_without_tokens(mode) for mode in modes], indent=2) + "\n")


def make_modes(clients: int) -> list[Mode]:
    """Return the ways in, each with so many tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    tokens: dict[str, tuple[str, str | ec.EllipticCurvePrivateKey, dict[str, str]]] = {
        "HS256": ("HS256", SECRET, {"RELAY_JWT_SECRET": SECRET}),
        "ES256": ("ES256", key, {"RELAY_JWT_PUBLIC_KEY": public}),
    }
    modes = [Mode("none", {"RELAY_AUTH": "none"}, [b""])]
    for name, (algorithm, signer, settings) in tokens.items():
        headers = [
            f"Authorization: Bearer {jwt.encode(claims, signer, algorithm)}\r\n".encode() for claims in _claims(clients)
        ]
        modes.append(Mode(name, {"RELAY_AUTH": "jwt", **settings}, headers))
    return modes


def _claims(clients: int) -> Iterator[dict[str, object]]:
    """Yield what the token of each client says."""
    now = int(time.time())
    for number in range(clients):
        channels = {"handshakes": "rw", "idle": "rw", "warm-up": "r", "user:{sub}": "rw"}
        yield {"sub": f"user-{number:06}", "iat": now, "exp": now + 86_400, "channels": channels}


def memory(launch: Launch, connections: int, headers: Iterator[bytes]) -> float:
    """Return the bytes of an idle connection."""
    with launch(None) as started:
        time.sleep(1)
        before = started.resident()
        opened = open_many(started.port, "/ws/idle", connections, headers)
        try:
            time.sleep(2)
            return (started.resident() - before) / connections
        finally:
            for sock in opened:
                abort(sock)


def table(modes: list[Mode], head: str) -> Table:
    """Return the medians of all modes, and how they stand to those without tokens."""
    made = Table(title=head, title_justify="left")
    made.add_column("tokens")
    for name in (
        "handshakes/s",
        "of none",
        "at least",
        "CPU per handshake",
        "none's by it",
        "server CPU",
        "client CPU",
    ):
        made.add_column(name, justify="right")
    for name in ("bytes per connection", "more than none", "at most"):
        made.add_column(name, justify="right")
    none = modes[0]
    for mode in modes:
        rate, cost = median(mode.rates), median(mode.costs)
        more = statistics.median(mode.memory) - statistics.median(none.memory)
        least = LEAST_RATE.get(mode.name)
        made.add_row(
            mode.name,
            f"{rate.value:,.0f}",
            f"{rate.value / median(none.rates).value:.0%}",
            "" if least is None else f"{least:.0%}",
            f"{cost.value:.1f} µs",
            f"{median(none.costs).value / cost.value:.0%}",
            f"{rate.server_cpu:.0%}",
            f"{rate.client_cpu:.0%}",
            f"{statistics.median(mode.memory):,.0f}",
            f"{more:+,.0f}",
            "" if least is None else f"{MOST_BYTES}",
        )
    return made


def _without_tokens(mode: Mode) -> dict[str, object]:
    return {name: value for name, value in asdict(mode).items() if name not in ("settings", "headers")}


if __name__ == "__main__":
    main()
