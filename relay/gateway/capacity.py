"""How many clients one process can hold: file descriptors decide."""

from __future__ import annotations

import resource

from relay.logs import Logger

RESERVE = 64
"""File descriptors kept for the bus, health checks, refusals, logs and the process itself."""

log = Logger("relay.gateway")


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to its hard one; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def default_max_connections() -> int:
    """Return how many clients the limit of open files allows, less a reserve."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_for(soft)


def connections_for(descriptors: int) -> int:
    """Return how many clients a limit of open files allows, less a reserve."""
    if descriptors == resource.RLIM_INFINITY:
        return 1_000_000
    return max(1, descriptors - _reserve(descriptors))


def highest_descriptor_limit() -> int:
    """Return the limit of open files to which `raise_descriptor_limit` would raise that of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def max_sockets() -> int:
    """Return how many sockets may be open at once, refusals and probes included: they have half of the reserve."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return default_max_connections() + _reserve(soft) // 2


def max_connections(wanted: int | None) -> int:
    """Return how many clients are served at once: what is set, but never more than descriptors allow.

    Args:
        wanted: what is set; None: as many as possible.
    """
    possible = default_max_connections()
    if wanted is None:
        return possible
    if wanted > possible:
        log.warning("max_connections is above the limit of open files", wanted=wanted, possible=possible)
    return min(wanted, possible)


def _reserve(soft: int) -> int:
    return RESERVE if soft == resource.RLIM_INFINITY else min(RESERVE, soft // 4)
