"""Commands of the coordinator to its workers, and their reports. All moments are ns since the run's start."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.schedule import Schedule
from relay.loadtest.plan.server_address import ServerAddress
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.time_histogram import BucketCounts


class Assignment(NamedTuple):
    """What a worker is to do; it gets this when it starts.

    Args:
        plan: plan of the run.
        run: number of the run.
        worker: number of the worker.
        addresses: addresses of the plan's URLs, in their order.
    """

    plan: Plan
    run: int
    worker: int
    addresses: list[ServerAddress]


class StartRamp(NamedTuple):
    """Open all connections. The epoch is the run's start in ns of the monotonic clock, which all processes share."""

    epoch: int


class PlaySchedule(NamedTuple):
    """Send messages on schedule."""

    schedule: Schedule


class StartMeasure(NamedTuple):
    """The measured time begins: start the act of the plan, such as churn."""


class StopLoad(NamedTuple):
    """Stop the act and the schedule, and let all clients reconnect that are away.

    Args:
        end: moment from which no more messages become due.
    """

    end: int


class CountSent(NamedTuple):
    """Drop the backlog, and tell what was sent: answered by `SentMessages`."""


class AwaitDeliveries(NamedTuple):
    """Wait until nothing is outstanding any more: answered by `AwaitEnded`.

    Args:
        sent: publisher → number of its messages.
        last: publisher → when it sent its last message.
        seconds: longest wait.
    """

    sent: dict[int, int]
    last: dict[int, int]
    seconds: float


class FindLost(NamedTuple):
    """Count the messages that never came: answered by `FinalFaults`.

    Args:
        sent: publisher → number of its messages.
        records: publisher → when it sent each message; empty when no client was away.
    """

    sent: dict[int, int]
    records: dict[int, array[int]]


class Shutdown(NamedTuple):
    """Close all connections and exit."""


Command = StartRamp | PlaySchedule | StartMeasure | StopLoad | CountSent | AwaitDeliveries | FindLost | Shutdown
"""What the coordinator tells its workers."""


class Started(NamedTuple):
    """The worker is ready for commands."""


class Progress(NamedTuple):
    """A worker's counts, sent twice a second. Counts by second and histograms cover the time since the last report.

    Args:
        moment: moment of the report.
        cpu: seconds of CPU time used so far.
        settled: whether no client is about to connect or to leave.
        ramped: when the last connection of the ramp was made.
        connected: clients that are subscribed now.
        sessions: connections made so far.
        resumed: sessions that went on where the one before had ended.
        notices: how often a client that came back was told that it had missed something.
        sent: messages sent so far.
        backlog: messages that are due but not sent.
        delivered: deliveries so far.
        bytes_received: bytes received so far, framing included.
        pings: pings answered so far.
        faults: faults so far; `lost` counts the messages that are missing now.
        sent_by_second: second → messages sent in it.
        on_time_by_second: second → messages due in it that were sent on time.
        delivered_by_second: second → deliveries in it.
        latencies: second in which messages were due, latencies from the due time, latencies from the send time.
        lag: lateness of the event loop.
        send_lag: lateness of messages when they were sent.
        handshakes: time from the beginning of a connection until it was subscribed.
        storm: the same for the reconnections of a storm alone.
    """

    moment: int
    cpu: float
    settled: bool
    ramped: int
    connected: int
    sessions: int
    resumed: int
    notices: int
    sent: int
    backlog: int
    delivered: int
    bytes_received: int
    pings: int
    faults: Faults
    sent_by_second: dict[int, int]
    on_time_by_second: dict[int, int]
    delivered_by_second: dict[int, int]
    latencies: list[tuple[int, BucketCounts, BucketCounts]]
    lag: BucketCounts
    send_lag: BucketCounts
    handshakes: BucketCounts
    storm: BucketCounts


class SentMessages(NamedTuple):
    """The messages that a worker's publishers have sent.

    Args:
        records: publisher → when it sent each message.
        unsent: messages that were due but never sent.
    """

    records: dict[int, array[int]]
    unsent: int


class AwaitEnded(NamedTuple):
    """Nothing is outstanding any more, or the time for it is over."""


class FinalFaults(NamedTuple):
    """A worker's final faults.

    Args:
        faults: all faults of its clients.
        storm: moment of its storm, and ns until its last client was back (-1: not all came back); None: no storm.
    """

    faults: Faults
    storm: tuple[int, int] | None


class WorkerFailed(NamedTuple):
    """The worker has failed by an error of the load test itself; text is the traceback."""

    text: str


Report = Started | Progress | SentMessages | AwaitEnded | FinalFaults | WorkerFailed
"""What a worker tells the coordinator."""
