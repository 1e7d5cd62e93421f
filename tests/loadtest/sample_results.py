"""Results to judge, built from what a test cares about."""

from __future__ import annotations

from typing import Any

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Connects, Generator, Percentiles, Result, Step


def make_step(**given: Any) -> Step:
    """Return a step of 100 messages to 10 receivers that all came; `given` replaces fields."""
    latency = Percentiles(count=1000, mean=0.01, p50=0.01, p90=0.02, p99=0.061, p99_9=0.1, p99_99=0.2, max=0.3)
    fields: dict[str, Any] = {
        "rate": 100.0,
        "seconds": 1.0,
        "offered": 100,
        "sent": 99,
        "delivered": 1000,
        "expected": 1000,
        "latency": latency,
        "latency_sent": Percentiles(count=1000, mean=0.009, p50=0.009, p90=0.01, p99=0.05, max=0.2),
    }
    return Step(**{**fields, **given})


def make_result(**given: Any) -> Result:
    """Return a clean result of one step; `given` replaces fields."""
    handshake = Percentiles(count=10, mean=0.002, p50=0.002, p90=0.003, p99=0.004, max=0.005)
    fields: dict[str, Any] = {
        "run": "abc123",
        "started": "2030-01-02T03:04:05+00:00",
        "profile": "custom",
        "conditions": {},
        "clients": 10,
        "channels": 1,
        "publishers": 1,
        "rate": 100.0,
        "size": 128,
        "steps": [make_step()],
        "moments": [],
        "connects": Connects(wanted=11, made=11, seconds=0.5, handshake=handshake, sessions=11),
        "faults": Faults(),
        "generator": Generator(workers=1),
        "delivery_rate": 1000.0,
    }
    return Result(**{**fields, **given})
