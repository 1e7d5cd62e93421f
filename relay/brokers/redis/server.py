"""Which Redis a link has reached, and whether it is the one that the others use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REPLICAS = ("replica", "slave")
"""Words for a copy of another Redis: what is published there never reaches the primary."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis as it has introduced itself.

    Args:
        role: `master`, `replica` or another word; None when it doesn't tell.
        run_id: its random id, new with each start, the same through failovers; None when it doesn't tell.
        refused: optional commands of the log-in that it has refused, each with Redis' own words.

    A node of a Redis Cluster passes on what is published at any other, so its role and id say nothing: None.
    """

    role: str | None = None
    run_id: str | None = None
    refused: tuple[str, ...] = ()

    @property
    def is_replica(self) -> bool:
        """Whether it is known to be a copy of another Redis."""
        return self.role in REPLICAS


def role_of(hello: Any) -> str | None:
    """Return the role that a reply to HELLO tells; None when it is no such reply, or a cluster's.

    HELLO, not ROLE or INFO: Redis never refuses it for want of rights, nor while it refuses PING.
    """
    if not isinstance(hello, list) or len(hello) % 2:
        return None
    told = dict(zip(map(_text, hello[::2]), map(_text, hello[1::2]), strict=True))
    return None if told.get("mode") == "cluster" else told.get("role")


def run_id_of(info: Any) -> str | None:
    """Return the run id that a reply to INFO tells; None when it is no such reply, or a cluster's."""
    told = dict(line.partition(":")[::2] for line in (_text(info) or "").splitlines())
    return None if told.get("redis_mode") == "cluster" else told.get("run_id")


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else None
