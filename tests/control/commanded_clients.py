"""Clients that note what commands do to them."""

from __future__ import annotations

from collections.abc import Iterator

from relay.errors import CustomDisconnect, Disconnect
from relay.protocols.multiplexed import ServerSubscription

NODE = bytes(8)


class Client:
    """A client, and its session, that notes how it is closed, and from which channels it is unsubscribed."""

    def __init__(self, number: int, user: str | None = None, *channels: str) -> None:
        self.id = NODE + number.to_bytes(8, "big")
        self.channels = channels or ("a",)
        self.user = user
        self.session = self
        self.closed: list[Disconnect | CustomDisconnect] = []
        self.revoked: set[str] = set()
        self.told: list[str] = []
        self.ends: list[float | None] = []

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        self.closed.append(why)

    def revoke(self, channel: str) -> None:
        assert channel in self.channels
        self.revoked.add(channel)
        self.told.append(f"-{channel}")

    def subscribe_by_server(self, channel: str, subscription: ServerSubscription) -> None:
        self.told.append(f"+{channel} {subscription.info!r} {subscription.data!r}")

    def refresh(self, expires_at: float | None) -> None:
        self.ends.append(expires_at)


class Clients(list[Client]):
    """Clients, and how often a pass went over them."""

    passes = 0

    def __iter__(self) -> Iterator[Client]:
        self.passes += 1
        return super().__iter__()
