"""Settings: where a gateway listens, and to whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ValidationInfo, field_validator

from relay.auth.host import ANY
from relay.settings.field import PREFIX, setting
from relay.settings.values import (
    HostNames,
    Hosts,
    Lowered,
    Networks,
    Origins,
    Range,
    Subprotocols,
    is_loopback,
)


class ListeningSettings(BaseModel):
    """Addresses, ports, and what is read of a request before anything else."""

    host: Hosts = setting(
        ("127.0.0.1",),
        "Listening",
        "Addresses to listen on; 0.0.0.0 means all of IPv4, :: means all of IPv6 and nothing else.",
    )
    port: Annotated[int, Range("integer", 0, 65535)] = setting(
        8000, "Listening", "TCP port to listen on; 0 takes any free one."
    )
    metrics_port: Annotated[int, Range("integer", 1, 65535)] | None = setting(
        None, "Listening", "TCP port only for /metrics, /healthz and /readyz. Not set: they are on RELAY_PORT."
    )
    max_connections: Annotated[int, Range("integer", 1, 10_000_000)] | None = setting(
        None,
        "Listening",
        "Most clients at once, of all workers; more get HTTP 503. Not set: as many as open files allow.",
    )
    trusted_proxies: Networks | None = setting(
        None, "Listening", "Proxies whose X-Forwarded-For, Forwarded and PROXY headers are trusted. Not set: none."
    )
    handshake_timeout: Annotated[float, Range("seconds", 0.1, 300)] = setting(
        10.0,
        "Listening",
        "Seconds for the head of a request; also for the wait for an authenticator, and then for the bus.",
    )
    max_header_bytes: Annotated[int, Range("bytes", 1024, 1_048_576)] = setting(
        16_384, "Listening", "Most bytes of a request's first line and headers together."
    )
    # websockets itself reads no more than 128 headers.
    max_headers: Annotated[int, Range("integer", 1, 128)] = setting(100, "Listening", "Most headers of one request.")
    keepalive_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        100.0, "Listening", "Seconds that an HTTP connection may wait for its next request; more than a proxy's."
    )
    allowed_origins: Origins | None = setting(
        None,
        "Listening",
        "Only pages of these sites may use the relay. Not set: its own; with RELAY_AUTH=none any WebSocket.",
    )
    allowed_hosts: HostNames | None = setting(
        None,
        "Listening",
        "Host names of the relay besides localhost and addresses; * is any. Not set: any; none on loopback.",
    )
    subprotocols: Subprotocols = setting(
        ("*",), "Listening", "Subprotocols to accept if a WebSocket offers some, the best first."
    )
    demo: Annotated[Literal["on", "off"], Lowered] = setting(
        "on", "Listening", "Whether browsers get a playground page at /."
    )

    @property
    def on_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return all(is_loopback(host) for host in self.host)

    @property
    def host_names(self) -> tuple[str, ...] | None:
        """Names by which clients may call the relay, besides addresses and localhost; None: any.

        On loopback only browsers of this machine can be turned against the relay by DNS rebinding, and only a proxy
        can have another name for it.
        """
        if self.allowed_hosts is not None:
            return None if ANY in self.allowed_hosts else self.allowed_hosts
        return () if self.on_loopback and self.trusted_proxies is None else None

    @field_validator("port", "metrics_port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: object) -> object:
        """Explain a value of Kubernetes, which sets RELAY_PORT in every pod of a namespace with a Service `relay`."""
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError("this is a Kubernetes service link; set enableServiceLinks: false")
        return value

    @field_validator("metrics_port")
    @classmethod
    def _not_the_clients_port(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value == info.data.get("port"):
            raise ValueError(f"not {PREFIX}PORT, which is {value}; leave it out to have metrics there")
        return value
