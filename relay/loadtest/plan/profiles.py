"""Profiles: starting points for common load tests, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from relay.loadtest.plan.plan import Act, Hears


class Profile(NamedTuple):
    """A starting point for a run.

    Args:
        meaning: one sentence for the command's help.
        options: field of `Plan` → value. Options of the command line override them.
    """

    meaning: str
    options: Mapping[str, Any]


PROFILES: Final = {
    "broadcast": Profile(
        "One channel with many clients and one publisher.",
        {"clients": 1000, "channels": 1, "publishers": 1, "rate": 50.0},
    ),
    "rooms": Profile(
        "Rooms of 10, in which every client publishes: 100 channels with 10 publishers each.",
        {"clients": 0, "channels": 100, "publishers": 1000, "rate": 1000.0},
    ),
    "echo": Profile(
        "Round trips: each connection has a channel of its own and gets its own messages back.",
        {"clients": 0, "channels": 100, "publishers": 100, "rate": 1000.0, "hears": Hears.ALL},
    ),
    "idle": Profile(
        "Nothing but keepalive, for memory and CPU per connection; a roll call at the end.",
        {"clients": 5000, "channels": 1, "publishers": 1, "rate": 0.0, "duration": 60, "warm_up": 0},
    ),
    "storm": Profile(
        "All clients are cut at once and come back at once, while messages go on.",
        {"clients": 2000, "channels": 20, "publishers": 20, "rate": 100.0, "duration": 20, "act": Act.STORM},
    ),
    "churn": Profile(
        "Clients leave and come back at a steady rate, while messages go on.",
        {
            "clients": 1000,
            "channels": 10,
            "publishers": 10,
            "rate": 200.0,
            "duration": 20,
            "act": Act.CHURN,
            "churn": 100.0,
        },
    ),
    "slow": Profile(
        "1 % of the clients stop reading; the others must not notice.",
        {
            "clients": 200,
            "channels": 1,
            "publishers": 1,
            "rate": 100.0,
            "size": 8192,
            "duration": 30,
            "act": Act.SLOW,
            "slow": 0.01,
        },
    ),
    "sweep": Profile(
        "The rate goes up by a quarter per step until latency or loss breaks: finds the knee.",
        {"clients": 100, "channels": 1, "publishers": 10, "rate": 100.0, "duration": 5, "sweep": True},
    ),
}
