"""The plan of one run: every option that the user chose, decided before the run starts."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Dialect(Struct, frozen=True, kw_only=True):
    """Templates for one type of server: its channel URLs, and the frames around a payload.

    The placeholders `{url}`, `{channel}`, `{client}`, `{run}` and `{payload}` are filled in by `fill_template`.

    Args:
        url: WebSocket URL of a channel.
        subscribe: text frames that each connection sends first.
        publish: text frame around a payload; "{payload}" sends the bare payload.
        ready: regular expression of the frame that confirms a subscription; None: the handshake confirms it.
        answers: pairs of a regular expression and the text frame that answers each frame it matches.
        ignore: regular expressions of expected frames that carry no message.
        headers: request headers besides the usual ones.
    """

    url: str = "{url}/ws/{channel}"
    subscribe: tuple[str, ...] = ()
    publish: str = "{payload}"
    ready: str | None = None
    answers: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def fill_template(template: str, values: dict[str, str]) -> str:
    """Return a template with its placeholders filled in; all other braces stay, as JSON needs them."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


class Trust(Struct, frozen=True, kw_only=True):
    """Which certificates of servers are trusted, for wss.

    Args:
        ca_file: PEM file with the authorities, or the certificate itself; None: the authorities of the system.
        any_name: whether a certificate may be for another host than the one in the URL.
    """

    ca_file: str | None = None
    any_name: bool = False


class Hears(Enum):
    """Which messages of its channel a publisher receives."""

    OTHERS = "others"
    ALL = "all"
    NOTHING = "nothing"


class Act(Enum):
    """What the subscribers do while messages flow."""

    STAY = "stay"
    STORM = "storm"
    CHURN = "churn"
    SLOW = "slow"


class Over(Enum):
    """What clients that resume connect over."""

    BOTH = "both"
    EVENTS = "events"
    POLLS = "polls"


class Plan(Struct, frozen=True, kw_only=True):
    """One run.

    Args:
        urls: servers, such as ws://127.0.0.1:8000; connections are distributed over them evenly.
        dialect: templates for this type of server.
        profile: name of the profile that the plan started from, or "custom".
        clients: connections that subscribe and never publish.
        channels: number of channels; clients and publishers are distributed over them evenly.
        publishers: connections that publish, besides the clients.
        rate: messages/s of all publishers together. 0: no messages but a roll call after the duration.
        size: payload size of one message in bytes.
        duration: measured time in whole seconds; in a sweep, that of each step.
        warm_up: whole seconds of messages before the measured time, which are not measured.
        settle: seconds without messages after the last client has connected.
        drain: longest wait for late messages, in seconds.
        connect_rate: connections opened per second, all workers together.
        connect_timeout: seconds within which a connection must be subscribed.
        workers: number of generator processes.
        act: what the subscribers do while messages flow.
        churn: sessions that are ended and begun again per second.
        slow: share of the clients that stop reading, 0 to 1.
        reconnect: whether clients reconnect after the server has closed their connection.
        resume: whether the clients listen over events and polls, come back where they were, and must not miss anything;
            publishers send by HTTP then, and repeat what isn't acknowledged.
        over: what clients that resume connect over.
        reconnect_every: seconds, on average, after which a client that resumes cuts its connection; 0: never.
        namespace: of all channels; empty: they have none.
        hears: which messages of its channel a publisher receives.
        sweep: whether the rate goes up step by step until a step breaks.
        knee: p99 in seconds, counted from the due time, above which a step of a sweep counts as broken.
        source_addresses: local IP addresses to connect from; empty: the system chooses.
        trust: which certificates of servers are trusted.
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
    resume: bool = False
    over: Over = Over.BOTH
    reconnect_every: float = 5.0
    namespace: str = ""
    hears: Hears = Hears.OTHERS
    sweep: bool = False
    knee: float = 0.1
    source_addresses: tuple[str, ...] = ()
    trust: Trust = Trust()
