"""The result of a run, as the JSON file has it.

Times are in seconds; moments are seconds since the run's start, before the ramp.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct, field

from relay.loadtest.result.faults import Faults

NO_PROFILE: Final = "custom"
"""What a result calls the profile of a plan that started from none."""


class Phase(Enum):
    """A phase of a run, in the order in which they come."""

    RAMP = "ramp"
    SETTLE = "settle"
    WARM_UP = "warm-up"
    MEASURE = "measure"
    DRAIN = "drain"
    CLOSE = "close"


class Percentiles(Struct, frozen=True, kw_only=True):
    """A distribution of times in seconds.

    Args:
        count: number of values; when it is 0, all others are 0, too.
        spectrum: pairs of a percentile (0 to 100, rising) and its value, from the merged histogram.
    """

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p99_9: float = 0.0
    p99_99: float = 0.0
    max: float = 0.0
    spectrum: tuple[tuple[float, float], ...] = ()


class Second(Struct, frozen=True, kw_only=True):
    """One second of a run.

    Args:
        second: its beginning, in seconds since the run's start.
        phase: phase of the run at its beginning.
        connected: connections that were subscribed at its end.
        offered: messages that were due in it.
        sent: messages handed to sockets in it.
        delivered: deliveries that arrived in it.
        p50, p99, p99_9, max: latency from the due time, of the messages due in it; None when there were none.
    """

    second: int
    phase: Phase
    connected: int = 0
    offered: int = 0
    sent: int = 0
    delivered: int = 0
    p50: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    max: float | None = None


class Step(Struct, frozen=True, kw_only=True):
    """One measured rate: the measure phase, or one step of a sweep.

    Args:
        rate: messages/s asked for.
        seconds: length of the measured schedule.
        offered: messages that were due in it.
        sent: offered messages that were sent within a second after they were due.
        delivered: deliveries of the offered messages, however late.
        expected: deliveries that the offered messages should have led to.
        latency: time from the moment when a message was due until it was received.
        latency_sent: time from the moment when a message was handed to the socket until it was received.
        broken: why this rate was too much; empty: it was kept. Only set in a sweep.
    """

    rate: float
    seconds: float
    offered: int
    sent: int
    delivered: int
    expected: int
    latency: Percentiles
    latency_sent: Percentiles
    broken: str = ""


class Sample(Struct, frozen=True, kw_only=True):
    """One measurement of a process. Connections are those of the whole run at that moment."""

    moment: float
    cpu_seconds: float
    rss_bytes: int
    connections: int


class Process(Struct, frozen=True, kw_only=True):
    """A server's process (with its children) over the run.

    Args:
        name: such as "gateway 1".
        pid: process id.
        samples: about one per second.
        cpu_per_delivery: CPU seconds in the measure phase per delivery of the whole run; None without deliveries.
        cpu_per_connection: CPU seconds per second and connection in the measure phase; None without connections.
        rss_per_connection: bytes by which memory grew from before the ramp to the end of the settling, per
            connection of this process (of several gateways, each is taken to have an equal share).
    """

    name: str
    pid: int
    samples: list[Sample]
    cpu_per_delivery: float | None = None
    cpu_per_connection: float | None = None
    rss_per_connection: float | None = None


class RedisUse(Struct, frozen=True, kw_only=True):
    """Redis in the measure phase.

    Args:
        cpu_share: CPU seconds per second.
        commands_rate: commands/s.
        cpu_per_message: CPU seconds per published message; None without any.
    """

    url: str
    cpu_share: float
    commands_rate: float
    cpu_per_message: float | None = None


class Generator(Struct, frozen=True, kw_only=True):
    """The load generator itself, in the measure phase.

    Args:
        workers: number of its processes.
        cpu_share: CPU seconds per second of the busiest worker.
        cpu_per_delivery: CPU seconds of all workers per delivery; None without deliveries.
        lag: by how much the event loops of all workers were late.
        send_lag: by how much messages were sent later than due.
        warnings: sentences; when there are any, the generator may have been the bottleneck.
    """

    workers: int
    cpu_share: float = 0.0
    cpu_per_delivery: float | None = None
    lag: Percentiles = Percentiles()
    send_lag: Percentiles = Percentiles()
    warnings: list[str] = field(default_factory=list)


class Storm(Struct, frozen=True, kw_only=True):
    """A reconnect storm: all clients were cut at once, and reconnected at once.

    Args:
        clients: number of clients that were cut.
        moment: when they were cut.
        seconds: time until the last one was subscribed again; None: not all came back.
        handshake: time from the beginning of a connection until it was subscribed.
    """

    clients: int
    moment: float
    seconds: float | None
    handshake: Percentiles


class Resumption(Struct, frozen=True, kw_only=True):
    """What became of clients that came back where they were. `Faults.told` and `Faults.lost` say what they missed.

    Args:
        events: clients of server-sent events.
        polls: clients of long polls.
        resumed: sessions that went on where the one before had ended.
        notices: how often a client was told that it had missed something, whether or not it had.
    """

    events: int
    polls: int
    resumed: int
    notices: int


class Connects(Struct, frozen=True, kw_only=True):
    """The connections of a run: the ramp, and what came after it.

    Args:
        wanted: connections planned.
        made: planned connections that were made.
        seconds: time from the first to the last connection of the ramp.
        handshake: time from the beginning of a connection until it was subscribed, all reconnections included.
        sessions: connections made in the whole run, reconnections of churn and storm included.
        pings: WebSocket pings that were answered.
    """

    wanted: int
    made: int
    seconds: float
    handshake: Percentiles
    sessions: int
    pings: int = 0

    @property
    def rate(self) -> float:
        """Connections made per second of the ramp."""
        return self.made / self.seconds if self.seconds else 0.0


class Result(Struct, kw_only=True):
    """Everything that a run showed.

    Args:
        run: number of the run as its messages carry it, in hexadecimal.
        started: wall-clock time in ISO 8601 with UTC offset.
        profile: name of the profile, or `NO_PROFILE`.
        conditions: name → value, for people (versions, cores, kernel, every option of the run, command line).
        defaults: names of the conditions that are options at their defaults.
        clients, channels, publishers, rate, size: as planned.
        steps: the measured step; in a sweep, every step that was tried.
        moments: the seconds of the run.
        connects: the connections.
        faults: all faults.
        generator: the load generator's own figures.
        processes: the server processes that were watched.
        redis: use of Redis; None when it was not watched all the time.
        storm: the reconnect storm; None when there was none.
        resumption: clients that came back where they were; None when they were not to.
        knee: index of the last kept step of a sweep that ended broken; None: not a sweep, or no knee found.
        delivered: deliveries of the whole run, before and after the measured time included.
        bytes_received: bytes that all connections received in the measure phase, WebSocket framing included.
        delivery_rate: deliveries/s that arrived in the measure phase (in a sweep: in its best kept step).
        interrupted: whether the run was ended early, by Ctrl-C.
        verdict: sentences that say why the run failed; empty: it passed.
    """

    run: str
    started: str
    profile: str
    conditions: dict[str, str]
    clients: int
    channels: int
    publishers: int
    rate: float
    size: int
    steps: list[Step]
    moments: list[Second]
    connects: Connects
    faults: Faults
    generator: Generator
    defaults: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    redis: RedisUse | None = None
    storm: Storm | None = None
    resumption: Resumption | None = None
    knee: int | None = None
    delivered: int = 0
    bytes_received: int = 0
    delivery_rate: float = 0.0
    interrupted: bool = False
    verdict: list[str] = field(default_factory=list)

    @property
    def headline(self) -> Step | None:
        """The step whose figures stand for the run: the measured one, or the best kept one of a sweep."""
        kept = [step for step in self.steps if not step.broken]
        return kept[-1] if kept else self.steps[0] if self.steps else None
