"""One attack: quiet and attacked spans in turn, what healthy clients see in them, and the memory afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tests.attacks.attacker import Attackers
from tests.attacks.catalogue import Attack
from tests.attacks.healthy_crowd import HealthyCrowd
from tests.fuzz.grammar.credential import healthy_token
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

ROUNDS: Final = 5
"""Quiet and attacked spans, in turn; their medians are compared, so that one hiccup of the machine decides nothing."""

MOST_ROUNDS: Final = 15
"""While an attack seems to succeed there are more rounds, up to this number: on a busy machine five say little."""

WARM_UP_SECONDS: Final = 3.0

SETTLE_SECONDS: Final = 1.0
"""After each change, not measured."""

MOST_TIMES: Final = 3.0
"""What an attack may do to the 99th percentile of the latency."""

MEMORY_SECONDS: Final = 10.0
MEMORY_SHARE: Final = 0.1


@dataclass(slots=True)
class Outcome:
    """What an attack has done.

    Args:
        quiet: 99th percentiles of the latency, in seconds, without it; one for each round.
        attacked: with it.
        met: how many hostile clients have come, as `visits`, and how many of them were refused, by status.
        faults: what healthy clients have lost, and what the gateway has logged.
        memory_before: resident bytes of the gateway.
        memory_peak: the most while it was attacked.
        memory_after: the least in the ten seconds after the attack.
        newcomers: seconds until each client was let in that came meanwhile.
        cpu_share: of one processor, that the gateway has used while it was attacked.
    """

    quiet: list[float] = field(default_factory=list)
    attacked: list[float] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    newcomers: list[float] = field(default_factory=list)
    memory_before: int = 0
    memory_peak: int = 0
    memory_after: int = 0
    cpu_share: float = 0.0

    @property
    def times(self) -> float:
        """How many times its quiet value the latency was."""
        return median(self.attacked) / median(self.quiet)

    @property
    def verdict(self) -> list[str]:
        """What falls short, in words."""
        short = list(self.faults)
        if self.times >= MOST_TIMES:
            short.append(f"p99 is {self.times:.1f} times its quiet value")
        if self.memory_after > self.memory_before * (1 + MEMORY_SHARE):
            short.append(f"memory stays at {self.memory_after / self.memory_before:.2f} times its value")
        if not self.met["visits"]:
            short.append("there was no attack")
        return short


def besiege(attack: Attack, span: float, event_loop: str = "auto") -> Outcome:
    """Attack a gateway of its own, and return what that has done.

    Args:
        attack: what to do.
        span: seconds of each span.
        event_loop: of the gateway.
    """
    outcome = Outcome()
    with ExitStack() as stack:
        settings = {**attack.settings, "event_loop": event_loop, "ping_interval": 25}
        if attack.redis and shutil.which("redis-server"):
            settings["broker_url"] = stack.enter_context(RedisServer()).url
        gateway = GatewayProcess(**settings)
        stack.callback(end, [gateway])
        gateway.start_blocking()
        query = f"&token={healthy_token('healthy')}" if "jwt_secret" in attack.settings else ""
        crowd = stack.enter_context(HealthyCrowd(gateway.port, query))
        attackers = stack.enter_context(Attackers(gateway.port, attack.visit, attack.clients, attack.pause))
        stack.enter_context(_preferred(gateway.pid, crowd.pid))
        time.sleep(WARM_UP_SECONDS)
        outcome.memory_before = gateway.rss_bytes
        cpu = 0.0
        while len(outcome.quiet) < ROUNDS or (outcome.times >= MOST_TIMES and len(outcome.quiet) < MOST_ROUNDS):
            outcome.quiet.append(_measure(crowd, span))
            attackers.order("attack")
            cpu -= gateway.cpu_seconds
            outcome.attacked.append(_measure(crowd, span))
            cpu += gateway.cpu_seconds
            outcome.memory_peak = max(outcome.memory_peak, gateway.rss_bytes)
            outcome.met = attackers.order("rest")
        outcome.cpu_share = cpu / len(outcome.attacked) / (span + SETTLE_SECONDS)
        outcome.memory_after = _least_memory(gateway, outcome.memory_before)
        outcome.newcomers, faults = crowd.end()
        outcome.faults = faults + gateway.complaints()
        outcome.faults += [str(record) for record in gateway.records() if record.get("level") == "error"]
    return outcome


@contextmanager
def _preferred(*pids: int) -> Iterator[None]:
    """Let processes run before all others, where that is permitted.

    Attackers have machines of their own. Here they, and whatever else runs, would take processor time from the very
    processes whose latency is measured. No real-time priority: the kernel stops such a process for 50 ms of each
    second in which it is busy.
    """
    group = Path("/proc/self/autogroup")  # Linux compares niceness within a session only, and sessions by this
    before = group.read_text().split()[-1] if group.exists() else None
    with suppress(OSError):
        for pid in pids:
            os.setpriority(os.PRIO_PROCESS, pid, -20)
        if before is not None:
            group.write_text("-20")
    try:
        yield
    finally:
        with suppress(OSError):
            if before is not None:
                group.write_text(before)


def _measure(crowd: HealthyCrowd, span: float) -> float:
    """Return the 99th percentile of the latency in a span, in seconds."""
    time.sleep(SETTLE_SECONDS)
    crowd.window()
    time.sleep(span)
    return crowd.window().p99


def _least_memory(gateway: GatewayProcess, before: int) -> int:
    """Return the memory as soon as it is what it was before, or the least that it is in ten seconds."""
    least = gateway.rss_bytes
    until = time.monotonic() + MEMORY_SECONDS
    while least > before * (1 + MEMORY_SHARE) and time.monotonic() < until:
        time.sleep(0.1)
        least = min(least, gateway.rss_bytes)
    return least
