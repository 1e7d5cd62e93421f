"""The Redis that a link has reached: its role and its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REPLICAS = ("replica", "slave")
"""Roles of a copy of another Redis: what is published there never reaches the primary."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis as it has introduced itself.

    Args:
        role: `master`, `replica` or another word; None: unknown.
        run_id: its random id, new with each start, the same through failovers; None: unknown.
        refused: optional commands of the log-in that it has refused, each with Redis' error.

    A node of a Redis Cluster passes on what is published at any other node, so its role and id say nothing: None.
    """

    role: str | None = None
    run_id: str | None = None
    refused: tuple[str, ...] = ()

    @property
    def is_replica(self) -> bool:
        """Whether it is known to be a copy of another Redis."""
        return self.role in REPLICAS


def role_of(hello: Any) -> str | None:
    """Return the role in a reply to HELLO; None when it is no such reply, or that of a cluster's node.

    HELLO, not ROLE or INFO: Redis never refuses it for want of rights, nor while it refuses PING.
    """
    if not isinstance(hello, list) or len(hello) % 2:
        return None
    fields = dict(zip(map(_text, hello[::2]), map(_text, hello[1::2]), strict=True))
    return None if fields.get("mode") == "cluster" else fields.get("role")


def run_id_of(info: Any) -> str | None:
    """Return the run id in a reply to INFO; None when it is no such reply, or that of a cluster's node."""
    fields = fields_of(info)
    return None if fields.get("redis_mode") == "cluster" else fields.get("run_id")


def primary_of(info: Any) -> bytes | None:
    """Return the id of the primary's term in a reply to `INFO replication`; None when it is no such reply.

    It is new with each start and with each promotion, and the same at all replicas.
    """
    primary = fields_of(info).get("master_replid")
    return None if primary is None else primary.encode()


def fields_of(info: Any) -> dict[str, str]:
    """Return the fields in a reply to INFO; none when it is no such reply."""
    return dict(line.partition(":")[::2] for line in (_text(info) or "").splitlines())


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else None
