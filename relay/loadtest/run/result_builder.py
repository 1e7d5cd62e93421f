"""Builds the result of a finished run, for terminal, file and report."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from relay.loadtest.plan.connections import listens_to_events
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Connects, Generator, Result, Resumption, Storm
from relay.loadtest.result.threshold import Threshold
from relay.loadtest.result.time_histogram import percentiles
from relay.loadtest.result.verdict import failures
from relay.loadtest.run.run_state import RunState
from relay.loadtest.target.observer import Observer
from relay.loadtest.units.formatting import duration, share

BUSY: Final = 0.85
"""Share of a core above which a worker is too busy for its figures to be trusted."""

STALL_SECONDS: Final = 0.1
"""Longest lag of an event loop above which the longest latencies may be the load test's own."""

LATE_SECONDS: Final = 0.010
"""p99 of the event loops' lag above which latencies are partly the load test's own."""


def build_result(
    state: RunState,
    observer: Observer,
    run: str,
    started: str,
    conditions: dict[str, str],
    thresholds: list[Threshold],
) -> Result:
    """Return the result of a run that is over.

    Args:
        state: state of the run.
        observer: observer of the servers.
        run: number of the run in hexadecimal.
        started: wall-clock time in ISO 8601.
        conditions: name → value, for people.
        thresholds: the thresholds that the user set.
    """
    plan, totals = state.plan, state.totals
    steps = [step.to_result(totals.on_time) for step in state.steps]
    kept = [number for number, step in enumerate(steps) if not step.broken]
    delivered, received, _ = _measured(state)
    published = sum(totals.sent[second] for second in _measured_seconds(state))
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
        moments=totals.moments(state.phases, state.offered, int(state.elapsed) + 1),
        connects=_connects(state),
        faults=_faults(state),
        generator=_generator(state),
        processes=observer.processes(delivered),
        redis=observer.redis_use(published),
        storm=_storm(state),
        resumption=_resumption(state),
        knee=kept[-1] if plan.sweep and kept and any(step.broken for step in steps) else None,
        delivered=totals.deliveries,
        bytes_received=received,
        interrupted=state.interrupted,
    )
    if (best := result.headline) is not None and best.seconds:
        # Deliveries that arrived in the step: a server that has fallen behind delivers many of its messages later.
        step = state.steps[result.steps.index(best)]
        result.delivery_rate = sum(totals.delivered[second] for second in range(step.first, step.end)) / best.seconds
    result.generator.warnings.extend(observer.notes)
    broken = [sentence for threshold in thresholds if (sentence := threshold.broken_by(result))]
    result.verdict = failures(result) + broken
    return result


def _faults(state: RunState) -> Faults:
    """Return the faults of a run.

    Messages that a sweep could not send, and connections that were closed, at a rate that was too much are no faults:
    they are how that step broke. Lost messages are faults at any rate.
    """
    if any(step.broken for step in state.steps):
        return structs.replace(state.faults, unsent=0, closed={})
    return state.faults


def _measured(state: RunState) -> tuple[int, int, float]:
    """Return deliveries, bytes and seconds of the measured time."""
    if len(state.samples) < 2:
        return 0, 0, 0.0
    begin, end = state.samples
    return end.delivered - begin.delivered, end.bytes_received - begin.bytes_received, end.moment - begin.moment


def _measured_seconds(state: RunState) -> range:
    if len(state.samples) < 2:
        return range(0)
    return range(round(state.samples[0].moment), round(state.samples[1].moment))


def _connects(state: RunState) -> Connects:
    totals = state.totals
    return Connects(
        wanted=state.wanted,
        made=min(totals.sessions, state.wanted),
        seconds=state.ramp_seconds,
        handshake=percentiles(totals.handshake.to_hdr()),
        sessions=totals.sessions,
        pings=totals.pings,
    )


def _storm(state: RunState) -> Storm | None:
    if not state.storms:
        return None
    moments, lengths = zip(*state.storms, strict=True)
    return Storm(
        clients=state.plan.clients,
        moment=min(moments) / 1e9,
        seconds=None if min(lengths) < 0 else max(lengths) / 1e9,
        handshake=percentiles(state.totals.storm.to_hdr()),
    )


def _resumption(state: RunState) -> Resumption | None:
    plan, totals = state.plan, state.totals
    if not plan.resume:
        return None
    events = sum(listens_to_events(plan, client) for client in range(plan.clients))
    return Resumption(events=events, polls=plan.clients - events, resumed=totals.resumed, notices=totals.notices)


def _generator(state: RunState) -> Generator:
    totals = state.totals
    generator = Generator(
        workers=state.plan.workers,
        lag=percentiles(totals.lag.to_hdr()),
        send_lag=percentiles(totals.send_lag.to_hdr()),
    )
    delivered, _, seconds = _measured(state)
    if seconds <= 0:
        return generator
    begin, end = state.samples
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
    elif generator.lag.max > STALL_SECONDS:
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
