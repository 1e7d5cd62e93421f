"""What the coordinator and its workers tell each other. All moments are ns since the run's start."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from relay.loadtest.generator.connector import Destination
from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.schedule import Timetable
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.time_histogram import Counts


class Assignment(NamedTuple):
    """What a worker is to be.

    Args:
        plan: of the run.
        run: its number.
        worker: number of the worker.
        destinations: of the plan's URLs, in their order.
    """

    plan: Plan
    run: int
    worker: int
    destinations: list[Destination]


class Ramp(NamedTuple):
    """Connect everybody. The epoch is the run's start in ns of the monotonic clock, which all processes share."""

    epoch: int


class Play(NamedTuple):
    """Send messages on schedule."""

    timetable: Timetable


class Begin(NamedTuple):
    """The measured time begins: begin with whatever the plan has the clients do."""


class Rest(NamedTuple):
    """End that, and let all come back who are away.

    Args:
        end: moment from which no more messages become due.
    """

    end: int


class Count(NamedTuple):
    """Send nothing more, and tell what was sent: answered by `Sent`."""


class Await(NamedTuple):
    """Wait for stragglers: answered by `Arrived`.

    Args:
        sent: publisher → number of its messages.
        last: publisher → when it sent the last one.
        seconds: for how long at most.
    """

    sent: dict[int, int]
    last: dict[int, int]
    seconds: float


class Judge(NamedTuple):
    """Count what never came: answered by `Judged`.

    Args:
        sent: publisher → number of its messages.
        records: publisher → when it sent each; empty when no client was away.
    """

    sent: dict[int, int]
    records: dict[int, array[int]]


class End(NamedTuple):
    """Close all connections and end."""


Order = Ramp | Play | Begin | Rest | Count | Await | Judge | End


class Up(NamedTuple):
    """The worker is ready for orders."""


class Progress(NamedTuple):
    """Where a worker stands; sent twice a second. What counts by second is what has come since the last report.

    Args:
        moment: of the report.
        cpu: seconds of CPU time used so far.
        settled: whether nobody is about to connect.
        ramped: when the last connection of the ramp was made.
        connected: clients that are subscribed now.
        sessions: connections made so far.
        sent: messages sent so far.
        owed: messages that are due but not sent.
        delivered: deliveries so far.
        bytes_received: so far, framing included.
        pings: answered so far.
        faults: so far; `lost` are the ones missing now.
        sent_by_second: second → messages sent in it.
        punctual_by_second: second → messages due in it that were sent in time.
        delivered_by_second: second → deliveries in it.
        latencies: second in which messages were due → times from then, and times from when they were sent.
        lag: lateness of the event loop.
        send_lag: by how much messages were sent later than due.
        handshakes: from the beginning of a connection to its being subscribed.
        storm: the same of those of a storm alone.
    """

    moment: int
    cpu: float
    settled: bool
    ramped: int
    connected: int
    sessions: int
    sent: int
    owed: int
    delivered: int
    bytes_received: int
    pings: int
    faults: Faults
    sent_by_second: dict[int, int]
    punctual_by_second: dict[int, int]
    delivered_by_second: dict[int, int]
    latencies: list[tuple[int, Counts, Counts]]
    lag: Counts
    send_lag: Counts
    handshakes: Counts
    storm: Counts


class Sent(NamedTuple):
    """What a worker's publishers have sent.

    Args:
        records: publisher → when it sent each message.
        unsent: messages that were due but never sent.
    """

    records: dict[int, array[int]]
    unsent: int


class Arrived(NamedTuple):
    """Nothing is outstanding any more, or the time for it is over."""


class Judged(NamedTuple):
    """A worker's final faults, and of its storm the moment, and ns until the last client was back (-1: not all are)."""

    faults: Faults
    storm: tuple[int, int] | None


class Failed(NamedTuple):
    """A worker has come upon an error of the load test itself; text is its traceback."""

    text: str


Report = Up | Progress | Sent | Arrived | Judged | Failed
