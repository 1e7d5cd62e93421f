"""Progress reports of workers, built from what a test cares about."""

from __future__ import annotations

from typing import Any

import numpy as np

from relay.loadtest.generator.commands import Progress
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.time_histogram import BucketCounts, TimeHistogram


def times(*microseconds: int) -> BucketCounts:
    """Return counts of these times."""
    histogram = TimeHistogram()
    histogram.add(np.array(microseconds, dtype=np.int64))
    return histogram.take()


def make_progress(second: float = 0.0, **given: Any) -> Progress:
    """Return the report of a worker that has done nothing, at a second of the run; `given` replaces fields."""
    fields: dict[str, Any] = {
        "moment": int(second * 1e9),
        "cpu": 0.0,
        "settled": True,
        "ramped": 0,
        "connected": 0,
        "sessions": 0,
        "resumed": 0,
        "notices": 0,
        "sent": 0,
        "backlog": 0,
        "delivered": 0,
        "bytes_received": 0,
        "pings": 0,
        "faults": Faults(),
        "sent_by_second": {},
        "on_time_by_second": {},
        "delivered_by_second": {},
        "latencies": [],
        "lag": times(),
        "send_lag": times(),
        "handshakes": times(),
        "storm": times(),
    }
    return Progress(**{**fields, **given})
