"""What is known of a gateway before it starts: its settings, its machine, its certificate and its Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.brokers.redis.address import Address
from relay.brokers.redis.inspection import Inspection
from relay.namespaces import Namespaces
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from relay.settings.report import SettingSource


@dataclass(frozen=True, slots=True)
class Machine:
    """What a gateway may use here.

    Args:
        processors: that it may use.
        memory_bytes: that it may use.
        places: clients for which one process may open files.
        uvloop: whether it is installed.
        accept_queue: connections that may wait until a program accepts them, on any port; None: unknown.
    """

    processors: int
    memory_bytes: int
    places: int
    uvloop: bool
    accept_queue: int | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that clients would be shown.

    Args:
        name: the first that it is for; empty: it has none.
        seconds_left: until it ends.
    """

    name: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known.

    Args:
        settings: of the gateway.
        machine: where it would run.
        sources: where the value of each setting comes from.
        env_file_mode: permissions of `.env` in the working folder, as a number; None: there is none.
        certificate: None: the gateway speaks no TLS.
        redis_address: None: the bus is no Redis.
        redis: what it says of itself; None: there is none, or it can't be asked.
        redis_failure: why it can't be asked; empty: it can, or there is none.
    """

    settings: Settings
    machine: Machine
    sources: Mapping[str, SettingSource] = field(default_factory=dict)
    env_file_mode: int | None = None
    certificate: Certificate | None = None
    redis_address: Address | None = None
    redis: Inspection | None = None
    redis_failure: str = ""

    @property
    def processes(self) -> int:
        """Processes that serve clients."""
        workers = self.settings.workers
        return self.machine.processors if workers == "auto" else workers

    @property
    def behind_a_proxy(self) -> bool:
        """Whether clients come through a proxy, as far as the settings say so."""
        return self.settings.trusted_proxies is not None

    @property
    def namespaces(self) -> Namespaces:
        """The options of all channels."""
        return namespaces_of(self.settings)
