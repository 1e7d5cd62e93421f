"""What a finished run comes to: the result for screen, file and report."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.histogram import percentiles
from relay.loadtest.result.result import Connects, Generator, Result, Storm
from relay.loadtest.result.threshold import Threshold
from relay.loadtest.result.verdict import failures
from relay.loadtest.run.coordinator import Coordinator
from relay.loadtest.target.observer import Observer
from relay.loadtest.units.formatting import duration, share

BUSY: Final = 0.85
"""Share of a core from which a worker counts as too busy to be believed."""

STILL_SECONDS: Final = 0.1
"""Longest lag of an event loop from which the longest latencies may be the load test's own."""

LATE_SECONDS: Final = 0.010
"""p99 of the event loops' lag from which latencies are partly the load test's own."""


def outcome(
    coordinator: Coordinator,
    observer: Observer,
    run: str,
    started: str,
    conditions: dict[str, str],
    thresholds: list[Threshold],
) -> Result:
    """Return the result of a run that is over.

    Args:
        coordinator: of the run.
        observer: of the servers' processes.
        run: its number in hexadecimal.
        started: wall-clock time in ISO 8601.
        conditions: for people.
        thresholds: that the user set.
    """
    plan, tally = coordinator.plan, coordinator.tally
    steps = [part.step(tally.punctual) for part in coordinator.parts]
    kept = [number for number, step in enumerate(steps) if not step.broken]
    delivered, received, _ = _measured(coordinator)
    published = sum(tally.sent[second] for second in _measured_seconds(coordinator))
    result = Result(
        run=run,
        started=started,
        profile=plan.profile,
        conditions=conditions,
        clients=plan.clients,
        channels=plan.channels,
        publishers=plan.publishers,
        rate=plan.rate,
        size=plan.size,
        steps=steps,
        moments=tally.moments(coordinator.phases, coordinator.offered, int(coordinator.elapsed) + 1),
        connects=_connects(coordinator),
        faults=_faults(coordinator),
        generator=_generator(coordinator),
        processes=observer.processes(delivered),
        redis=observer.redis_use(published),
        storm=_storm(coordinator),
        knee=kept[-1] if plan.sweep and kept and any(step.broken for step in steps) else None,
        delivered=tally.count,
        bytes_received=received,
        interrupted=coordinator.interrupted,
    )
    if (best := result.headline) is not None and best.seconds:
        # Those that arrived in it: of a server that is behind, many of its messages come later.
        part = coordinator.parts[result.steps.index(best)]
        result.delivery_rate = sum(tally.delivered[second] for second in range(part.first, part.end)) / best.seconds
    result.generator.warnings.extend(observer.notes)
    broken = [sentence for threshold in thresholds if (sentence := threshold.broken_by(result))]
    result.verdict = failures(result) + broken
    return result


def _faults(coordinator: Coordinator) -> Faults:
    """Return the faults of a run; what a sweep could not send, and whom it lost, at a rate that was too much says how
    that step broke. Messages lost in silence are faults at any rate."""
    if any(part.broken for part in coordinator.parts):
        return structs.replace(coordinator.faults, unsent=0, closed={})
    return coordinator.faults


def _measured(coordinator: Coordinator) -> tuple[int, int, float]:
    """Return deliveries, bytes and seconds of the measured time."""
    if len(coordinator.standings) < 2:
        return 0, 0, 0.0
    begin, end = coordinator.standings
    return end.delivered - begin.delivered, end.bytes_received - begin.bytes_received, end.moment - begin.moment


def _measured_seconds(coordinator: Coordinator) -> range:
    if len(coordinator.standings) < 2:
        return range(0)
    return range(round(coordinator.standings[0].moment), round(coordinator.standings[1].moment))


def _connects(coordinator: Coordinator) -> Connects:
    tally = coordinator.tally
    return Connects(
        wanted=coordinator.wanted,
        made=min(tally.sessions, coordinator.wanted),
        seconds=coordinator.ramp_seconds,
        handshake=percentiles(tally.handshake.histogram()),
        sessions=tally.sessions,
        pings=tally.pings,
    )


def _storm(coordinator: Coordinator) -> Storm | None:
    if not coordinator.storms:
        return None
    moments, lengths = zip(*coordinator.storms, strict=True)
    return Storm(
        clients=coordinator.plan.clients,
        moment=min(moments) / 1e9,
        seconds=None if min(lengths) < 0 else max(lengths) / 1e9,
        handshake=percentiles(coordinator.tally.storm.histogram()),
    )


def _generator(coordinator: Coordinator) -> Generator:
    tally = coordinator.tally
    generator = Generator(
        workers=coordinator.plan.workers,
        lag=percentiles(tally.lag.histogram()),
        send_lag=percentiles(tally.send_lag.histogram()),
    )
    delivered, _, seconds = _measured(coordinator)
    if seconds <= 0:
        return generator
    begin, end = coordinator.standings
    used = [after - before for before, after in zip(begin.cpu, end.cpu, strict=True)]
    busiest, per_delivery = max(used) / seconds, sum(used) / delivered if delivered else None
    warnings = []
    if busiest > BUSY:
        warnings.append(
            f"the load test itself was busy: a worker used {share(busiest, 2)} of a core; "
            "give it more --workers or cores"
        )
    if generator.lag.p99 > LATE_SECONDS:
        warnings.append(
            f"the load test itself was late: its event loops lagged by {duration(generator.lag.p99, 2)} (p99), "
            "which is part of every latency"
        )
    elif generator.lag.max > STILL_SECONDS:
        warnings.append(
            f"the load test itself stood still for {duration(generator.lag.max, 2)}: "
            "the longest latencies may be its own"
        )
    return Generator(
        workers=generator.workers,
        cpu_share=busiest,
        cpu_per_delivery=per_delivery,
        lag=generator.lag,
        send_lag=generator.send_lag,
        warnings=warnings,
    )
