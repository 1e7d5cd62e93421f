"""The limits of what clients may take, and how a client that has reached one is counted, logged and refused."""

from __future__ import annotations

import enum
import math
import random

from relay.errors import Refused
from relay.logs import Logger
from relay.metrics.counters import Counters

log = Logger("relay.limits")


class Limit(enum.Enum):
    """A limit.

    Attributes:
        label: its name in the metrics, and the cause of a refusal.
        setting: the setting by which it is changed; None: it can't be.
        entry: what the log says.
        sentence: what a client is told whose request is refused; empty: none is.
        status: HTTP status of the refusal.
    """

    MESSAGES = ("messages", "RELAY_MAX_MESSAGES_PER_SECOND", "too many messages of a client")
    BYTES = ("bytes", "RELAY_MAX_BYTES_PER_SECOND", "too many bytes of a client")
    PUBLISHES = (
        "publishes",
        "RELAY_MAX_PUBLISHES_PER_SECOND",
        "too many publishes of an address",
        "too many messages were published from this address: it was not published",
    )
    POSTED_BYTES = (
        "posted_bytes",
        "RELAY_PUBLISH_BUFFER_BYTES",
        "too many bytes of an address wait for the bus",
        "too many bytes from this address wait for the bus: it was not published",
    )
    FORWARDED_BYTES = (
        "forwarded_bytes",
        "RELAY_MAX_BYTES_PER_SECOND",
        "too many bytes of an address for other gateways",
        "too many bytes from this address are for other gateways: they were not passed on",
    )
    ADDRESS_CONNECTIONS = (
        "connections_per_address",
        "RELAY_MAX_CONNECTIONS_PER_ADDRESS",
        "too many connections of an address",
        "too many clients are connected from this address",
    )
    USER_CONNECTIONS = (
        "connections_per_user",
        "RELAY_MAX_CONNECTIONS_PER_USER",
        "too many connections of a user",
        "too many clients of this user are connected",
    )
    NEW_CONNECTIONS = (
        "new_connections",
        "RELAY_MAX_NEW_CONNECTIONS_PER_SECOND",
        "too many new connections",
        "too many clients connect at the same time",
        503,
    )
    NEW_ADDRESS_CONNECTIONS = (
        "new_connections_per_address",
        "RELAY_MAX_NEW_CONNECTIONS_PER_SECOND",
        "too many new connections of an address",
        "too many clients connect from this address",
    )
    CHANNELS = ("channels", "RELAY_MAX_CHANNELS_PER_CONNECTION", "too many channels of a client")
    CALLS = ("calls", "RELAY_RPC_CONCURRENCY", "too many calls of a client")
    FAILED_AUTHENTICATIONS = (
        "failed_authentications",
        "RELAY_MAX_FAILED_AUTHENTICATIONS",
        "too many failed authentications of an address",
        "too many failed authentications from this address",
    )
    ADDRESSES = ("addresses", None, "too many addresses to be counted")

    def __init__(
        self,
        label: str,
        setting: str | None,
        entry: str,
        sentence: str = "",
        status: int = 429,
    ) -> None:
        self.label = label
        self.setting = setting
        self.entry = entry
        self.status = status
        self.sentence = sentence


def reached(limit: Limit, counters: Counters, **who: object) -> None:
    """Count and log that a limit has been reached; of one limit the log takes a bounded number of entries.

    Args:
        limit: the limit.
        counters: of the gateway.
        **who: reached it, for the log.
    """
    counters.limits_reached[limit.label] += 1
    log.warning(limit.entry, setting=limit.setting, **who)


def refusal(limit: Limit, counters: Counters, wait: float | None = None, **who: object) -> Refused:
    """Return the refusal of a request that is beyond a limit, after it was counted and logged.

    Args:
        limit: the limit.
        counters: of the gateway.
        wait: seconds after which the client may come again; None: unknown. Then each is told another number.
        **who: sends the request, for the log.
    """
    reached(limit, counters, **who)
    # Random, so that clients that were refused together do not come back together.
    seconds = random.randint(5, 15) if wait is None else max(1, math.ceil(wait))  # noqa: S311  # guards nothing
    refused = Refused(limit.status, limit.sentence, {"Retry-After": str(seconds)})
    refused.cause = limit.label
    return refused
