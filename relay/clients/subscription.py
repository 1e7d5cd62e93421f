"""One subscription of a client that has several."""

from __future__ import annotations

import asyncio
from typing import Protocol

from relay.interest import Interest
from relay.protocols.multiplexed import Subscribed, SubscribeOptions


class Subscriber(Protocol):
    """The session of the client."""

    def end_expired(self, subscription: Subscription) -> None:
        """End a subscription whose time is over."""


class Subscription:
    """A channel to which a client is subscribed, or about to be.

    Args:
        channel: its name.
        options: how the client wants to be subscribed.
        subscribed: told when it has begun, or that it won't.
        session: the client's.

    Attributes:
        channel: see above.
        interest: this gateway's claim on it; None: not yet.
        subscribed: see above; None: it was told.
        info: JSON that presence shows of the client on this channel; None: nothing.
        data: JSON for the client; None: nothing.
        expires_at: when it ends, in seconds since 1970; None: never.
        leeway: seconds by which the client is told an earlier end, so that it renews it in time.
        encode: encoder of the channel's messages for the client; None: the usual one, before it has begun.
        watching: whether the client hears who comes and who goes.
        task: waits for what the subscription needs to begin; None: nothing is waited for.
    """

    __slots__ = (
        "_session",
        "channel",
        "data",
        "encode",
        "expires_at",
        "info",
        "interest",
        "leeway",
        "subscribed",
        "task",
        "watching",
    )

    def __init__(self, channel: str, options: SubscribeOptions, subscribed: Subscribed, session: Subscriber) -> None:
        self._session = session
        self.channel = channel
        self.interest: Interest | None = None
        self.info = options.info
        self.subscribed: Subscribed | None = subscribed
        self.data: bytes | None = None
        self.expires_at: float | None = None
        self.leeway = 0.0
        self.encode = options.encode
        self.watching = False
        self.task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether messages are delivered."""
        return self.subscribed is None

    @property
    def shown(self) -> bool:
        """Whether others may see that the client is on the channel."""
        return self.begun and self.interest is not None and self.interest.present

    def expire(self) -> None:
        """End it, as its time is over; see `relay.clients.expirations.Expiring`."""
        self._session.end_expired(self)
