"""The limits of one gateway that the ways in share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from relay.limits.address import PUBLIC_ADDRESSES, PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.address_shares import AddressShares
from relay.limits.connections import ConnectionLimits
from relay.limits.limit import Limit
from relay.limits.rate import Rate
from relay.metrics.counters import Counters

NEW_CONNECTIONS_BURST_SECONDS: Final = 10
"""As many clients as come in so many seconds may come at once: those of another gateway that has ended."""

NEW_CONNECTIONS_SHARE: Final = 4
"""One public address may have a quarter of the rate of new clients: else it could keep all others out."""

PUBLISHES_PERIOD_SECONDS: Final = 1.0
FAILURES_PERIOD_SECONDS: Final = 60.0
FORWARDED_PERIOD_SECONDS: Final = 2.0
"""As with a WebSocket's bytes; see `relay.limits.meter`."""


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """The settings of the limits; 0: no limit.

    Args:
        connections_per_address: clients of one address.
        connections_per_user: clients of one user.
        new_connections: a second, of this process.
        publishes: `POST /publish` a second, of one address.
        failed_authentications: a minute, of one address.
        bytes: a second, of one client.
        posted_bytes: of all messages that have come by HTTP and wait for the bus.
    """

    connections_per_address: PerAddress
    connections_per_user: int
    new_connections: int
    publishes: PerAddress
    failed_authentications: PerAddress
    bytes: int
    posted_bytes: int


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """The limits.

    Args:
        connections: of clients that are connected, or come.
        publishes: of `POST /publish` and `POST /emulation`.
        posted_bytes: of these, while they wait for the bus.
        forwarded_bytes: of `POST /emulation`, for other gateways: the client's own limits are where it is connected.
        failures: of authentications that have failed.
    """

    connections: ConnectionLimits
    publishes: AddressRate
    posted_bytes: AddressShares
    forwarded_bytes: AddressRate
    failures: AddressRate

    @classmethod
    def of(cls, options: LimitOptions, counters: Counters, clock: Callable[[], float]) -> Self:
        """Return the limits of a gateway.

        Args:
            options: its settings.
            counters: where it is counted that a limit was reached.
            clock: returns seconds; never goes back.
        """
        new = options.new_connections
        burst = new * NEW_CONNECTIONS_BURST_SECONDS
        # Public ones alone: the number is not one of an address, and a balancer without a name here is all clients.
        share = PerAddress(max(1, burst // NEW_CONNECTIONS_SHARE) if new else 0, public_only=True)
        forwarded = PerAddress(int(options.bytes * FORWARDED_PERIOD_SECONDS), public_only=True)
        return cls(
            ConnectionLimits(
                options.connections_per_address,
                options.connections_per_user,
                Rate(new, burst) if new else None,
                AddressRate(Limit.NEW_ADDRESS_CONNECTIONS, share, NEW_CONNECTIONS_BURST_SECONDS, counters, clock),
                counters,
                clock,
            ),
            AddressRate(Limit.PUBLISHES, options.publishes, PUBLISHES_PERIOD_SECONDS, counters, clock),
            AddressShares(Limit.POSTED_BYTES, PUBLIC_ADDRESSES, options.posted_bytes, counters),
            AddressRate(Limit.FORWARDED_BYTES, forwarded, FORWARDED_PERIOD_SECONDS, counters, clock),
            AddressRate(
                Limit.FAILED_AUTHENTICATIONS, options.failed_authentications, FAILURES_PERIOD_SECONDS, counters, clock
            ),
        )
