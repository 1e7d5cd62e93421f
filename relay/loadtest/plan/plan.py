"""What a run is to do, decided before it starts."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from relay.loadtest.plan.dialect import Dialect


class Hears(Enum):
    """Which messages of its channel a publisher gets."""

    OTHERS = "others"
    ALL = "all"
    NOTHING = "nothing"


class Act(Enum):
    """What the subscribers do while messages flow."""

    STAY = "stay"
    STORM = "storm"
    CHURN = "churn"
    SLOW = "slow"


class Plan(Struct, frozen=True, kw_only=True):
    """One run.

    Args:
        urls: of the servers, such as ws://127.0.0.1:8000; clients are dealt out to them evenly.
        dialect: how this kind of server is spoken to.
        profile: name of the profile that it started from.
        clients: connections that subscribe and never publish.
        channels: channels, over which clients and publishers are dealt out evenly.
        publishers: connections that publish, besides the clients.
        rate: messages/s of all publishers together. 0: none but a roll call after the duration.
        size: bytes of one message's payload.
        duration: whole seconds that are measured; of a sweep, of each step.
        warm_up: whole seconds of messages before them that aren't.
        settle: seconds without messages after the last client has connected.
        drain: longest time in seconds to wait for stragglers.
        connect_rate: connections opened per second, all workers together.
        connect_timeout: seconds that one connection may take until it is subscribed.
        workers: processes.
        act: what subscribers do meanwhile.
        churn: sessions ended and begun again per second.
        slow: share of the clients that stop reading, 0 to 1.
        reconnect: whether clients whose connection the server ended come back.
        hears: which messages of its channel a publisher gets.
        sweep: whether the rate goes up step by step until something breaks.
        knee: p99 in seconds from the due time at which a step of a sweep counts as broken.
        source_addresses: local IP addresses to connect from; empty: the system chooses.
    """

    urls: tuple[str, ...]
    dialect: Dialect
    profile: str = "custom"
    clients: int = 100
    channels: int = 1
    publishers: int = 1
    rate: float = 100.0
    size: int = 128
    duration: int = 10
    warm_up: int = 2
    settle: float = 1.0
    drain: float = 10.0
    connect_rate: float = 1000.0
    connect_timeout: float = 10.0
    workers: int = 1
    act: Act = Act.STAY
    churn: float = 0.0
    slow: float = 0.0
    reconnect: bool = False
    hears: Hears = Hears.OTHERS
    sweep: bool = False
    knee: float = 0.1
    source_addresses: tuple[str, ...] = ()
