"""The facts that `relay check` judges: read from this machine, from files, and from Redis."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from relay.brokers import schemes
from relay.brokers.redis.address import Address, parse_address
from relay.brokers.redis.inspection import Inspection, inspect
from relay.checks.facts import Certificate, Facts, Machine
from relay.cli.interruption import run_interruptible
from relay.gateway.capacity import connections_for, highest_descriptor_limit
from relay.settings import ENV_FILE, Settings
from relay.settings.report import sources
from relay.settings.tls import certificate_files, read_certificate
from relay.workers.memory import usable_memory
from relay.workers.processors import usable_processors

_ACCEPT_QUEUE: Final = Path("/proc/sys/net/core/somaxconn")


def gather(settings: Settings, given: Iterable[str]) -> Facts:
    """Return what is known of a gateway that would start here with these settings.

    Args:
        settings: of the gateway.
        given: names of the settings that are flags.
    """
    address = _redis_address(settings)
    found, failure = (None, "") if address is None else _ask(address, settings)
    return Facts(
        settings=settings,
        machine=_machine(),
        sources=sources(Settings, given),
        env_file_mode=_mode(ENV_FILE),
        certificate=_certificate(settings),
        redis_address=address,
        redis=found,
        redis_failure=failure,
    )


def _machine() -> Machine:
    return Machine(
        processors=usable_processors(),
        memory_bytes=usable_memory(),
        places=connections_for(highest_descriptor_limit()),
        uvloop=find_spec("uvloop") is not None,
        accept_queue=_number(_ACCEPT_QUEUE),
    )


def _certificate(settings: Settings) -> Certificate | None:
    files = certificate_files(settings)
    if files is None:
        return None
    certificate = read_certificate(files)
    return Certificate(certificate.name, certificate.expires_at - time.time())


def _redis_address(settings: Settings) -> Address | None:
    """Return where Redis is; None: the bus is something else."""
    if not schemes.find(settings.broker_url).redis:
        return None
    return parse_address(settings.broker_url, settings.broker_ca_file)


def _ask(address: Address, settings: Settings) -> tuple[Inspection | None, str]:
    """Return what Redis says of itself; or None, and why it says nothing."""
    try:
        return run_interruptible(lambda: inspect(address, settings.broker_prefix, settings.broker_timeout)), ""
    except ConnectionError as error:
        return None, str(error)


def _mode(path: str) -> int | None:
    """Return the permissions of a file; None when there is none."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        return None


def _number(path: Path) -> int | None:
    """Return the number in a file of the kernel; None when there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
