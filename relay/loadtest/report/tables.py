"""The figures of a result as texts: tiles for the headline, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from relay.loadtest.report.plot import Table
from relay.loadtest.result.faults import Fault, Incident
from relay.loadtest.result.result import Percentiles, Phase, Result, Resumption, Step, Storm
from relay.loadtest.units.formatting import NO_VALUE, causes, clock, count, counted, duration, share, size

_MEANINGS: Final = {
    Fault.LOST: "deliveries that never came though the receiver was connected",
    Fault.DUPLICATED: "deliveries that came more than once",
    Fault.REORDERED: "deliveries that came after a later message of the same publisher",
    Fault.FOREIGN: "messages of another run, channel or publisher, or changed on the way",
    Fault.UNEXPECTED: "frames without a message that nothing explains",
}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A headline figure; a bad one stands out."""

    name: str
    value: str
    note: str
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """How often a fault happened."""

    name: str
    number: int
    meaning: str

    @property
    def text(self) -> str:
        """The number as people read it."""
        return count(self.number)


def tiles(result: Result) -> list[Tile]:
    """Return the headline figures."""
    step = result.headline
    latency = step.latency if step is not None and step.latency.count else None
    expected = sum(step.expected for step in result.steps)
    connects = result.connects
    lost = result.faults.lost
    return [
        Tile(name="p50", value=duration(latency.p50 if latency else None), note="half of all came sooner"),
        Tile(name="p99", value=duration(latency.p99 if latency else None), note="1 in 100 took longer"),
        Tile(name="Max", value=duration(latency.max if latency else None), note="the slowest of all"),
        Tile(name="Deliveries/s", value=count(result.delivery_rate), note=_measured_over(result)),
        Tile(name="Lost", value=count(lost), note=f"of {count(expected)} deliveries", bad=lost > 0),
        Tile(
            name="Connections",
            value=count(connects.made),
            note=f"of {count(connects.wanted)}: {counted(result.clients, 'client')}, "
            + counted(result.publishers, "publisher"),
            bad=connects.made < connects.wanted,
        ),
    ]


def _measured_over(result: Result) -> str:
    if len(result.steps) > 1 and result.headline is not None:
        return f"at {count(result.headline.rate)} messages/s, the best rate that was kept"
    return f"over {count(sum(moment.phase is Phase.MEASURE for moment in result.moments))} s"


def faults(result: Result) -> list[FaultRow]:
    """Return every type of fault, and how often it happened."""
    found = result.faults
    rows = [
        FaultRow(name=fault.value, number=getattr(found, fault.value), meaning=meaning)
        for fault, meaning in _MEANINGS.items()
    ]
    rows.append(FaultRow(name="unsent", number=found.unsent, meaning="messages that the server would not take"))
    rows.append(_by_cause("closed", "connections that the server ended", found.closed))
    rows.append(_by_cause("refused", "connections that could not be made", found.refused))
    return rows


def explained(result: Result) -> list[str]:
    """Return sentences that explain what looks like a fault but is none."""
    faults = result.faults
    sentences = []
    if faults.missed:
        missed = counted(faults.missed, "delivery", "deliveries")
        sentences.append(f"{missed} missed by receivers that were not connected at that time.")
    if faults.told:
        told = counted(faults.told, "delivery", "deliveries")
        sentences.append(f"{told} missed by clients that came back where they were, and told to them.")
    if faults.returned:
        back = counted(sum(faults.returned.values()), "closed client")
        sentences.append(f"{back} came back as told: {causes(faults.returned)}.")
    if faults.slow_closed:
        closed = counted(sum(faults.slow_closed.values()), "client")
        sentences.append(f"{closed} closed for having stopped reading on purpose: {causes(faults.slow_closed)}.")
    return sentences


def incidents(result: Result) -> Table:
    """Return the first faults, one per row."""
    columns = ("What", "When", "Client", "Server", "Channel", "Publisher", "Messages", "Details")
    return Table(columns=columns, rows=[_incident(incident) for incident in result.faults.incidents])


def latencies(step: Step) -> Table:
    """Return the percentiles of a step's latencies, from the due time and from the send time."""
    return percentiles([("since due", step.latency), ("since sent", step.latency_sent)])


def percentiles(times: Sequence[tuple[str, Percentiles]]) -> Table:
    """Return a row for each named distribution."""
    columns = ("", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "values")
    return Table(columns=columns, rows=[_percentiles(name, each) for name, each in times])


def steps(result: Result) -> Table:
    """Return a row for each rate of a sweep."""
    rows = [
        (
            f"{count(step.rate)}/s",
            f"{count(step.sent / step.seconds)}/s" if step.seconds else NO_VALUE,
            *(duration(value if step.latency.count else None) for value in _short_percentiles(step.latency)),
            count(max(0, step.expected - step.delivered)),
            step.broken or ("knee" if number == result.knee else "kept"),
        )
        for number, step in enumerate(result.steps)
    ]
    columns = ("Rate", "Sent", "p50", "p99", "p99.9", "max", "Lost", "Outcome")
    return Table(columns=columns, rows=rows)


def processes(result: Result) -> Table:
    """Return the CPU and memory of each server process."""
    rows = [
        (
            process.name,
            str(process.pid),
            duration(process.cpu_per_delivery),
            _per_second(process.cpu_per_connection),
            size(process.rss_per_connection),
            size(max((sample.rss_bytes for sample in process.samples), default=None)),
        )
        for process in result.processes
    ]
    columns = (
        "Process",
        "Process id",
        "CPU per delivery of all",
        "CPU per connection",
        "Memory per connection",
        "Most memory",
    )
    return Table(columns=columns, rows=rows)


def redis(result: Result) -> list[tuple[str, str]]:
    """Return the use of Redis in the measure phase; empty when it wasn't observed."""
    use = result.redis
    if use is None:
        return []
    return [
        ("Redis", use.url),
        ("CPU (100 % is one core)", share(use.cpu_share)),
        ("Commands/s", count(use.commands_rate)),
        ("CPU per published message", duration(use.cpu_per_message)),
    ]


def ramp(result: Result) -> list[tuple[str, str]]:
    """Return the figures of the ramp and of all connections."""
    connects = result.connects
    return [
        ("Connections made", f"{count(connects.made)} of {count(connects.wanted)}"),
        ("From the first to the last", duration(connects.seconds)),
        ("Connects/s", count(connects.rate) if connects.seconds else NO_VALUE),
        ("Sessions in the whole run", count(connects.sessions)),
        ("Pings answered", count(connects.pings)),
    ]


def storm(cut: Storm) -> list[tuple[str, str]]:
    """Return the figures of a storm."""
    return [
        ("Clients cut at once", count(cut.clients)),
        ("Moment", clock(cut.moment)),
        ("Until all were back", "not all came back" if cut.seconds is None else duration(cut.seconds)),
    ]


def resumption(clients: Resumption) -> list[tuple[str, str]]:
    """Return the figures of clients that came back where they were."""
    return [
        ("Event streams", count(clients.events)),
        ("Polling clients", count(clients.polls)),
        ("Sessions that went on where they were", count(clients.resumed)),
        ("Notices that messages were missed", count(clients.notices)),
    ]


def handshakes(result: Result) -> Table:
    """Return how long connecting took, in the ramp and in the storm."""
    times = [("ramp", result.connects.handshake)]
    return percentiles([*times, ("storm", result.storm.handshake)] if result.storm else times)


def generator(result: Result) -> list[tuple[str, str]]:
    """Return the load test's own figures."""
    own = result.generator
    return [
        ("Worker processes", count(own.workers)),
        ("CPU of the busiest worker", share(own.cpu_share)),
        ("CPU of all workers per delivery", duration(own.cpu_per_delivery)),
        ("Bytes received while measuring", size(result.bytes_received)),
    ]


def lags(result: Result) -> Table:
    """Return the lags of the load test itself."""
    own = result.generator
    return percentiles([("event loops late by", own.lag), ("messages sent late by", own.send_lag)])


def _percentiles(name: str, times: Percentiles) -> tuple[str, ...]:
    values = (times.p50, times.p90, times.p99, times.p99_9, times.p99_99, times.max, times.mean)
    return (name, *(duration(value if times.count else None) for value in values), count(times.count))


def _short_percentiles(times: Percentiles) -> tuple[float, ...]:
    return times.p50, times.p99, times.p99_9, times.max


def _by_cause(name: str, meaning: str, counts: Mapping[str, int]) -> FaultRow:
    return FaultRow(
        name=name, number=sum(counts.values()), meaning=f"{meaning}: {causes(counts)}" if counts else meaning
    )


def _incident(incident: Incident) -> tuple[str, ...]:
    return (
        incident.fault.value,
        clock(incident.moment),
        str(incident.client),
        incident.url,
        incident.channel or NO_VALUE,
        NO_VALUE if incident.publisher is None else str(incident.publisher),
        _numbers(incident.first, incident.last),
        incident.text or NO_VALUE,
    )


def _numbers(first: int | None, last: int | None) -> str:
    if first is None:
        return NO_VALUE
    return str(first) if last is None or last == first else f"{first}\N{EN DASH}{last}"


def _per_second(seconds: float | None) -> str:
    return NO_VALUE if seconds is None else f"{duration(seconds)}/s"
