"""Items: what a gateway takes of its machine, what clients may take of it, and who watches it."""

from __future__ import annotations

from typing import Final

from relay.checks.facts import Facts
from relay.checks.verdict import Verdict, missing, ok, unknown, warning
from relay.settings.field import PREFIX

MEGABYTE: Final = 1_000_000

PROCESS_BYTES: Final = 50 * MEGABYTE
SUPERVISOR_BYTES: Final = 40 * MEGABYTE
"""As deploy/README.md says."""

CLIENT_BYTES: Final = 8_000
TLS_CLIENT_BYTES: Final = 17_000
"""Of an idle client, and what TLS adds, with what the kernel takes: as docs/capacity.md says."""

CLIENTS_PER_PROCESS: Final = 20_000
"""As docs/capacity.md says: so many may come back to the others at once."""

LEAST_PLACES: Final = 10_000
LEAST_ACCEPT_QUEUE: Final = 1024

_LIMITS: Final = (
    "max_messages_per_second",
    "max_bytes_per_second",
    "max_publishes_per_second",
    "max_connections_per_address",
    "max_connections_per_user",
    "max_new_connections_per_second",
    "max_failed_authentications",
)


def limits(facts: Facts) -> Verdict:
    """Judge whether one client can take what is there for all."""
    off = [PREFIX + name.upper() for name in _LIMITS if getattr(facts.settings, name) == 0]
    if off:
        return warning(f"{', '.join(off)} 0: one client, address or user may take everything; set a number")
    return ok("each client, address and user has a limit")


def open_files(facts: Facts) -> Verdict:
    """Judge whether clients find files to be opened for them."""
    places, wanted = facts.machine.places, facts.settings.max_connections
    if wanted is not None:
        each = -(-wanted // facts.processes)
        if places < each:
            return missing(
                f"{PREFIX}MAX_CONNECTIONS allows {each} clients in a process, but open files allow {places}; "
                "raise the limit: ulimit -n, LimitNOFILE, default-ulimits"
            )
    elif places < LEAST_PLACES:
        return warning(
            f"open files allow {places} clients in a process; raise the limit: ulimit -n, LimitNOFILE, default-ulimits"
        )
    return ok(f"open files allow {places} clients in a process")


def accept_queue(facts: Facts) -> Verdict:
    """Judge whether clients that come all at once are kept until they are let in."""
    length = facts.machine.accept_queue
    if length is None:
        return unknown("this system doesn't say how many connections may wait to be accepted")
    if length < LEAST_ACCEPT_QUEUE:
        return warning(
            f"{length} connections may wait to be accepted; when more come at once, some time out; "
            "set sysctl net.core.somaxconn=4096"
        )
    return ok(f"{length} connections may wait to be accepted")


def memory(facts: Facts) -> Verdict:
    """Judge whether the memory is enough for the clients that are let in."""
    settings, machine = facts.settings, facts.machine
    clients = settings.max_connections or machine.places * facts.processes
    each = CLIENT_BYTES + (TLS_CLIENT_BYTES if settings.tls_cert is not None else 0)
    base = facts.processes * (PROCESS_BYTES + settings.publish_buffer_bytes)
    base += SUPERVISOR_BYTES if facts.processes > 1 else 0
    needed, there = base + clients * each, machine.memory_bytes
    if needed <= there:
        return ok(
            f"a gateway with {clients} idle clients takes {_size(needed)} of {_size(there)}; "
            "buffers of slow clients come on top"
        )
    fitting = max(0, there - base) // each
    if settings.max_connections is None:
        return warning(
            f"the gateway lets {clients} clients in, but has memory for {fitting}; "
            f"set {PREFIX}MAX_CONNECTIONS to what you have measured"
        )
    return missing(
        f"a gateway with {clients} idle clients takes {_size(needed)}, but there are only {_size(there)}; "
        f"set {PREFIX}MAX_CONNECTIONS to {fitting} or less, or give it more memory"
    )


def cores(facts: Facts) -> Verdict:
    """Judge whether the processors are enough for the clients that are let in."""
    wanted, processes, there = facts.settings.max_connections, facts.processes, facts.machine.processors
    if processes > there:
        return warning(f"{processes} processes share {_cores(there)}: set {PREFIX}WORKERS to {there} or auto")
    if wanted is not None and wanted > CLIENTS_PER_PROCESS * processes:
        return warning(
            f"{wanted} clients on {_processes(processes)} are more than {CLIENTS_PER_PROCESS} for each; "
            "they come back all at once if it dies; start more gateways or workers"
        )
    return ok(f"{_processes(processes)} on {_cores(there)}")


def event_loop(facts: Facts) -> Verdict:
    """Judge how much of a core the event loop takes."""
    if facts.settings.event_loop == "asyncio":
        return warning(f"asyncio's own loop needs more CPU than uvloop; set {PREFIX}EVENT_LOOP=auto")
    if not facts.machine.uvloop:
        return warning(
            "uvloop isn't installed, and asyncio's own loop needs more CPU; pip install 'relay-pubsub[uvloop]'"
        )
    return ok("uvloop")


def log(facts: Facts) -> Verdict:
    """Judge whether the log says what an operator needs, and no more."""
    level = facts.settings.log_level
    if level == "debug":
        return warning(f"debug writes an entry for each client, with channels and users; set {PREFIX}LOG_LEVEL=info")
    if level == "error":
        return warning(
            f"the log has no warnings, so it doesn't say why a gateway isn't ready; set {PREFIX}LOG_LEVEL=info"
        )
    return ok(f"entries from level {level} on")


def alerts(facts: Facts) -> Verdict:
    """Judge whether alerts reach an operator."""
    port = facts.settings.metrics_port or facts.settings.port
    return unknown(f"check that Prometheus reads /metrics on port {port}, and has deploy/prometheus/alerts.yml")


def capacity(facts: Facts) -> Verdict:
    """Judge whether all is enough for what clients really do."""
    return unknown(
        "test with `relay loadtest`, and with clients and messages like yours, that it is enough: docs/capacity.md"
    )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
