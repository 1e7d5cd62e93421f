"""What tokens cost: python -m bench.credentials.

Gateways with RELAY_AUTH=none, with tokens of HS256 and with tokens of ES256 take turns on one core. Each client has a
token of its own, in a header; all are made before anything is measured.

What a token costs is the CPU of a handshake more than without one. It is judged beside what the library takes in the
same run to verify a signature, and nothing else: the machine's speed is in both, and how cheap a handshake is without a
token is in neither.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import click
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import Algorithm
from jwt.utils import base64url_decode
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

MOST_HANDSHAKES = 16_000  # per second, for which there are tokens: one costs 71 µs without
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the measured gateways alone
MOST_MICROSECONDS = 45.0  # of CPU that a token takes beside its verification: 16 (HS256) and 38 (ES256) were measured
VERIFIED = 1_000  # tokens that the library alone verifies in each round
MOST_BYTES = 400  # more than without tokens, of each connection


@dataclass
class Mode:
    """One way in, and what was measured of it.

    Args:
        name: for people.
        settings: of its gateways.
        headers: a line for each client, with its token.
        verify: verifies the signature of such a line; None: there is no token.
        bare: what that took in each round, in µs of CPU.
    """

    name: str
    settings: dict[str, str]
    headers: list[bytes]
    verify: Callable[[bytes], bool] | None = None
    costs: list[Reading] = field(default_factory=list)
    rates: list[Reading] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

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
                if mode.verify is not None:
                    mode.bare.append(bare_verify(mode.verify, mode.headers[:VERIFIED]))
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
        prepared = jwt.get_algorithm_by_name(algorithm).prepare_key(signer if isinstance(signer, str) else public)
        verify = partial(_verify, jwt.get_algorithm_by_name(algorithm), prepared)
        modes.append(Mode(name, {"RELAY_AUTH": "jwt", **settings}, headers, verify))
    return modes


def _verify(algorithm: Algorithm, key: Any, header: bytes) -> bool:
    """Return whether the library takes the signature of a token for right."""
    signed, _, signature = header.rpartition(b" ")[2].strip().rpartition(b".")
    return algorithm.verify(signed, key, base64url_decode(signature))


def bare_verify(verify: Callable[[bytes], bool], headers: list[bytes]) -> float:
    """Return the µs of CPU that the verification of one token takes alone."""
    began = time.process_time()
    assert all(map(verify, headers))
    return (time.process_time() - began) / len(headers) * 1e6


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
        "CPU per handshake",
        "token",
        "verify alone",
        "the rest",
        "at most",
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
        token = cost.value - median(none.costs).value
        bare = statistics.median(mode.bare) if mode.bare else None
        made.add_row(
            mode.name,
            f"{rate.value:,.0f}",
            f"{rate.value / median(none.rates).value:.0%}",
            f"{cost.value:.1f} µs",
            "" if bare is None else f"{token:.1f} µs",
            "" if bare is None else f"{bare:.1f} µs",
            "" if bare is None else f"{token - bare:.1f} µs",
            "" if bare is None else f"{MOST_MICROSECONDS:.0f} µs",
            f"{rate.server_cpu:.0%}",
            f"{rate.client_cpu:.0%}",
            f"{statistics.median(mode.memory):,.0f}",
            f"{more:+,.0f}",
            "" if bare is None else f"{MOST_BYTES}",
        )
    return made


def _without_tokens(mode: Mode) -> dict[str, object]:
    return {name: value for name, value in asdict(mode).items() if name not in ("settings", "headers", "verify")}


if __name__ == "__main__":
    main()
