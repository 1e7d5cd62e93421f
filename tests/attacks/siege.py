"""One attack: quiet and attacked spans in turn, what healthy clients see in them, and the memory afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.attacks.attacker import Attackers
from tests.attacks.catalogue import Attack
from tests.attacks.control import EchoServer
from tests.attacks.healthy_crowd import HealthyCrowd
from tests.attacks.verdict import MEMORY_SHARE, MOST_TIMES, Outcome, Span
from tests.fuzz.grammar.credential import healthy_token
from tests.harness.gateway_process import GatewayProcess, Setting, end
from tests.harness.redis_server import RedisServer

CALM_SPANS: Final = 2
"""Quiet spans before the first attack."""

ROUNDS: Final = 4
"""Attacked and quiet spans, in turn; their medians are compared, so that one hiccup of the machine decides nothing."""

MOST_ROUNDS: Final = 8
"""While an attack seems to succeed there are more rounds, up to this number: on a busy machine four say little."""

WARM_UP_SECONDS: Final = 2.0

SETTLE_PART: Final = 0.5
"""After each change so much of a span isn't measured."""

MEMORY_SECONDS: Final = 10.0


AUTOGROUP: Final = Path("/proc/self/autogroup")
"""Linux compares niceness within a session only, and sessions by this."""


class Besieged(GatewayProcess):
    """A gateway that has loaded everything itself: a fork would share its memory with the other forks."""

    command = ("-m", "relay")


def besiege(
    attack: Attack,
    span: float,
    event_loop: str = "auto",
    launch: Callable[[dict[str, Setting]], GatewayProcess] = lambda settings: Besieged(**settings),
) -> Outcome:
    """Attack a gateway of its own, and return what that has done.

    Args:
        attack: what to do.
        span: seconds of each span.
        event_loop: of the gateway.
        launch: starts a gateway with settings.
    """
    outcome = Outcome(attack.least)
    with ExitStack() as stack:
        settings = {**attack.settings, "event_loop": event_loop, "ping_interval": 25}
        if attack.redis and shutil.which("redis-server"):
            settings["broker_url"] = stack.enter_context(RedisServer()).url
        gateway = launch(settings)
        stack.callback(_end, gateway, outcome)
        gateway.start_blocking()
        query = f"&token={healthy_token('healthy')}" if "jwt_secret" in attack.settings else ""
        control = stack.enter_context(EchoServer())
        crowd = stack.enter_context(HealthyCrowd(gateway.port, query, control.port))
        attackers = stack.enter_context(Attackers(gateway.port, attack.visit, attack.clients, attack.pause))
        stack.enter_context(_preferred(gateway.pid, crowd.pid, control.pid))
        time.sleep(WARM_UP_SECONDS)
        outcome.memory_before = gateway.rss_bytes
        outcome.before = [_measure(crowd, span) for _ in range(CALM_SPANS)]
        cpu = 0.0
        while len(outcome.quiet) < ROUNDS or (outcome.times >= MOST_TIMES and len(outcome.quiet) < MOST_ROUNDS):
            begin = time.monotonic()
            attackers.order("attack")
            cpu -= gateway.cpu_seconds
            outcome.attacked.append(_measure(crowd, span))
            cpu += gateway.cpu_seconds
            outcome.memory_peak = max(outcome.memory_peak, gateway.rss_bytes)
            outcome.met = attackers.order("rest")
            outcome.attacked_seconds += time.monotonic() - begin
            outcome.quiet.append(_measure(crowd, span))
        outcome.cpu_share = cpu / outcome.attacked_seconds
        outcome.memory_after = _least_memory(gateway, outcome.memory_before)
        outcome.newcomers, faults = crowd.end()
        outcome.faults += faults
        if not gateway.running:
            outcome.faults.append(f"the gateway has ended with {gateway.exit_code}")
        outcome.faults += [str(record) for record in gateway.records() if record.get("level") == "error"]
    return outcome


def _end(gateway: GatewayProcess, outcome: Outcome) -> None:
    """Stop the gateway; that it doesn't go quietly, or has logged what it must not, is a fault, too."""
    try:
        end([gateway])
    except AssertionError as error:
        outcome.faults.append(str(error))


@contextmanager
def _preferred(*pids: int) -> Iterator[None]:
    """Let processes run before all others, where that is permitted.

    Attackers have machines of their own. Here they, and whatever else runs, would take processor time from the very
    processes whose latency is measured. No real-time priority: the kernel stops such a process for 50 ms of each
    second in which it is busy.
    """
    before = autogroup_niceness(AUTOGROUP)
    with suppress(OSError):
        for pid in pids:
            os.setpriority(os.PRIO_PROCESS, pid, -20)
        if before is not None:
            AUTOGROUP.write_text("-20")
    try:
        yield
    finally:
        with suppress(OSError):
            if before is not None:
                AUTOGROUP.write_text(before)


def autogroup_niceness(autogroup: Path) -> str | None:
    """Return the niceness of this process' session.

    Args:
        autogroup: the kernel's file, "/autogroup-N nice M".

    Returns:
        M, or None where the kernel groups by nothing: without the file, or with an empty one (the process is in a
        control group of its own, or in none).
    """
    with suppress(OSError):
        words = autogroup.read_text().split()
        return words[-1] if words else None
    return None


def _measure(crowd: HealthyCrowd, span: float) -> Span:
    """Return what the healthy clients see in a span of so many seconds."""
    time.sleep(span * SETTLE_PART)
    crowd.window()
    time.sleep(span)
    return crowd.window().span(span)


def _least_memory(gateway: GatewayProcess, before: int) -> int:
    """Return the memory as soon as it is what it was before, or the least that it is in ten seconds."""
    least = gateway.rss_bytes
    until = time.monotonic() + MEMORY_SECONDS
    while least > before * (1 + MEMORY_SHARE) and time.monotonic() < until:
        time.sleep(0.1)
        least = min(least, gateway.rss_bytes)
    return least
