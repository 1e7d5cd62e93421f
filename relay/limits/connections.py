"""How many clients one address and one user may have connected, and how many new ones may come."""

from __future__ import annotations

from collections.abc import Callable

from relay.limits.address import PerAddress
from relay.limits.address_rate import AddressRate
from relay.limits.limit import Limit, refusal
from relay.limits.rate import Rate
from relay.metrics.counters import Counters


class ConnectionLimits:
    """Counts clients of all kinds, from the moment at which they ask to come in until they have gone.

    Nothing is kept of an address or a user without clients, so the tables have no more entries than there are clients.

    Args:
        per_address: how many clients of one address.
        per_user: how many clients of one user; 0: any number.
        new: how many may come; None: any number.
        new_per_address: how many of these from one address.
        counters: where refusals are counted.
        clock: returns seconds; never goes back.
    """

    def __init__(
        self,
        per_address: PerAddress,
        per_user: int,
        new: Rate | None,
        new_per_address: AddressRate,
        counters: Counters,
        clock: Callable[[], float],
    ) -> None:
        self._per_address = per_address
        self._per_user = per_user
        self._new = new
        self._new_per_address = new_per_address
        self._counters = counters
        self._clock = clock
        self._due = 0.0
        self._of_address: dict[str, int] = {}
        self._of_user: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many addresses and users are counted now."""
        return len(self._of_address) + len(self._of_user)

    def check_new(self, address: str) -> None:
        """Count a client that wants to come in, before anything but its address is looked at.

        Raises:
            Refused: with 429, too many come from its address; with 503, too many come. It doesn't count then.
        """
        if self._new is not None:
            self._new_per_address.check(address)
            due = self._new.count(self._due, self._clock(), 1)
            if due is None:
                raise refusal(Limit.NEW_CONNECTIONS, self._counters, remote=address)
            self._due = due
            self._new_per_address.add(address)

    def enter(self, address: str) -> str:
        """Count a client of an address, before it is known who it is.

        Returns:
            What the address is counted as, for `leave`; empty when it isn't counted.

        Raises:
            Refused: with 429; the address has too many.
        """
        network = self._per_address.key(address)
        if network and not _add(self._of_address, network, self._per_address.most):
            raise refusal(Limit.ADDRESS_CONNECTIONS, self._counters, remote=address)
        return network

    def enter_user(self, user: str | None, address: str) -> None:
        """Count a client of a user.

        Args:
            user: its name; None: it has none, and isn't counted.
            address: of the client, for the log.

        Raises:
            Refused: with 429; the user has too many.
        """
        if user is not None and self._per_user and not _add(self._of_user, user, self._per_user):
            raise refusal(Limit.USER_CONNECTIONS, self._counters, user=user, remote=address)

    def leave(self, network: str, user: str | None) -> None:
        """Count a client no longer.

        Args:
            network: what `enter` has returned.
            user: with which `enter_user` was called; None: it wasn't, or has refused.
        """
        if network:
            _subtract(self._of_address, network)
        if user is not None and self._per_user:
            _subtract(self._of_user, user)


def _add(counts: dict[str, int], key: str, most: int) -> bool:
    """Count one more, unless there are as many as may be; return whether it was counted."""
    count = counts.get(key, 0)
    if count >= most:
        return False
    counts[key] = count + 1
    return True


def _subtract(counts: dict[str, int], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
