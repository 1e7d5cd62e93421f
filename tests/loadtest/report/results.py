"""Results of every shape that a run may take, made up."""

from __future__ import annotations

from collections.abc import Sequence

from relay.loadtest.result.faults import Fault, Faults, Incident
from relay.loadtest.result.result import (
    Connects,
    Generator,
    Percentiles,
    Phase,
    Process,
    RedisUse,
    Result,
    Resumption,
    Sample,
    Second,
    Storm,
)
from relay.loadtest.units.formatting import counted
from tests.loadtest.report.parts import (
    HOSTILE,
    conditions,
    connects,
    generator,
    incidents,
    moments,
    process,
    step,
    times,
)


def good(**changes: object) -> Result:
    """Return a run in which nothing went wrong, but for `changes`."""
    fields: dict[str, object] = {
        "run": "3fa2b1",
        "started": "2026-11-22T18:00:51+00:00",
        "profile": "custom",
        "conditions": conditions(),
        "clients": 5000,
        "channels": 50,
        "publishers": 20,
        "rate": 2000.0,
        "size": 128,
        "steps": [step(2000, latency=times(0.0012, count=6_000_000))],
        "moments": moments(),
        "connects": connects(),
        "faults": Faults(),
        "generator": generator(),
        "processes": [process(1), process(2, cores=0.55)],
        "redis": RedisUse(
            url="redis://127.0.0.1:6379/0", cpu_share=0.081, commands_rate=2004.0, cpu_per_message=4.05e-5
        ),
        "bytes_received": 792_000_000,
        "delivery_rate": 200_012.0,
    }
    return Result(**(fields | changes))  # type: ignore[arg-type]


def bad() -> Result:
    """Return a run with a stall, every kind of fault and a generator out of breath."""
    faults = Faults(
        lost=12_318,
        duplicated=41,
        reordered=7,
        foreign=1,
        unexpected=3,
        unsent=212,
        closed={"1001 going away": 48, "reset": 3},
        refused={"timed out": 112, "HTTP 503": 20},
        missed=4100,
        incidents=incidents(12),
    )
    latency = times(0.0012, count=5_400_000, stall=2.03)
    return good(
        faults=faults,
        steps=[step(2000, latency=latency, sent=59_788, delivered=5_987_682)],
        moments=moments(stall=range(11, 13)),
        connects=connects(made=4888),
        generator=generator(
            "the load test itself was busy: a worker used 97 % of a core; give it more --workers or cores",
            "the load test itself was late: its event loops lagged by 31 ms (p99), which is part of every latency",
        ),
        verdict=[
            "132 connections could not be made: timed out (112), HTTP 503 (20)",
            "51 connections ended by the server: 1001 going away (48), reset (3)",
            "12 318 deliveries lost",
            "p99.9 was 1.07 s, not to be more than 50 ms",
        ],
        delivery_rate=199_589.0,
    )


def sweep(rates: Sequence[float] = (), *, kept: int | None = None) -> Result:
    """Return a sweep.

    Args:
        rates: that were tried; without any 1000, 2000, … until too much.
        kept: how many of them were kept; None: all but the last two.
    """
    tried = list(rates) or [1000.0 * 2 ** (half / 2) for half in range(12)]
    good_ones = len(tried) - 2 if kept is None else kept
    steps = []
    for number, rate in enumerate(tried):
        strain = max(0.0, 1 - rate / tried[-1] * 0.98)
        latency = times(0.0006 + 0.0004 / (strain + 0.004), count=int(rate * 10 * 100))
        broken = "" if number < good_ones else f"p99 {latency.p99 * 1000:.0f} ms, over 100 ms"
        share = 1.0 if number < good_ones else 1 - 0.03 * (number - good_ones + 1)
        steps.append(
            step(
                rate,
                seconds=10.0,
                latency=latency,
                sent=int(rate * 10 * share),
                delivered=int(rate * 1000 * (1 - (1 - share) / 20)),
                broken=broken,
            )
        )
    knee = good_ones - 1 if 0 < good_ones < len(tried) else None
    return good(profile="sweep", steps=steps, knee=knee, moments=moments(measured=10 * len(tried)), rate=tried[0])


def idle() -> Result:
    """Return a run without messages."""
    return good(
        profile="idle",
        rate=0.0,
        steps=[step(0, latency=Percentiles(), latency_sent=Percentiles())],
        moments=moments(rate=0.0, measured=20),
        generator=Generator(workers=1),
        delivery_rate=0.0,
        bytes_received=0,
        redis=None,
        processes=[process(1, cores=0.02)],
    )


def interrupted() -> Result:
    """Return a run that was ended in its ramp."""
    early = [moment for moment in moments() if moment.phase is Phase.RAMP]
    return good(interrupted=True, steps=[], moments=early, processes=[], redis=None, delivery_rate=0.0)


def nothing() -> Result:
    """Return a run that did not get as far as its first second."""
    return good(
        interrupted=True,
        steps=[],
        moments=[],
        processes=[],
        redis=None,
        connects=Connects(wanted=5020, made=0, seconds=0.0, handshake=Percentiles(), sessions=0),
        generator=Generator(workers=1),
        conditions={},
        delivery_rate=0.0,
    )


def storm(*, back: float | None = 3.4) -> Result:
    """Return a run in which all clients were cut and came back, or not."""
    seconds = [
        Second(second=each.second, phase=each.phase, connected=(each.second - 20) * 1600, offered=2000, sent=2000)
        if 20 <= each.second < 23
        else each
        for each in moments()
    ]
    handshake = times(0.4, count=5000, tail=8.0)
    return good(
        profile="storm", moments=seconds, storm=Storm(clients=5000, moment=20.0, seconds=back, handshake=handshake)
    )


def long() -> Result:
    """Return a run of ten minutes with many processes."""
    return good(
        profile="broadcast",
        moments=moments(measured=600, ramp=12, stall=range(300, 304)),
        processes=[process(number, seconds=616, cores=0.1 * number) for number in range(1, 15)],
    )


def huge() -> Result:
    """Return a run with numbers beyond all reason."""
    enormous = 10**15
    latency = times(9000.0, count=enormous)
    return good(
        clients=enormous,
        rate=1e12,
        steps=[step(1e12, latency=latency, receivers=1000)],
        moments=moments(rate=1e12, clients=enormous, median=9000.0),
        faults=Faults(lost=enormous),
        verdict=[counted(enormous, "delivery", "deliveries") + " lost"],
        delivery_rate=1e14,
        bytes_received=10**18,
    )


def single() -> Result:
    """Return a run of one second with one message to one client."""
    one = Percentiles(count=1, **dict.fromkeys(("mean", "p50", "p90", "p99", "p99_9", "p99_99", "max"), 0.0007))  # type: ignore[arg-type]
    second = Second(
        second=0,
        phase=Phase.MEASURE,
        connected=1,
        offered=1,
        sent=1,
        delivered=1,
        p50=7e-4,
        p99=7e-4,
        p99_9=7e-4,
        max=7e-4,
    )
    return good(
        clients=1,
        channels=1,
        publishers=1,
        rate=1.0,
        steps=[step(1, seconds=1, receivers=1, latency=one, latency_sent=one)],
        moments=[second],
        connects=Connects(wanted=2, made=2, seconds=0.0, handshake=times(0.002, count=2), sessions=2),
        processes=[
            Process(name="gateway 1", pid=1, samples=[Sample(moment=0, cpu_seconds=0, rss_bytes=1, connections=0)])
        ],
        delivery_rate=1.0,
    )


def hostile() -> Result:
    """Return a run whose every text tries to be markup."""
    made = bad()
    made.run = made.started = made.profile = HOSTILE
    made.conditions = {HOSTILE: HOSTILE}
    made.verdict = [HOSTILE]
    made.generator.warnings[:] = [HOSTILE]
    made.faults.closed = made.faults.refused = made.faults.slow_closed = {HOSTILE: 1}
    made.faults.incidents = [
        Incident(fault=Fault.FOREIGN, moment=1.0, client=1, url=HOSTILE, channel=HOSTILE, text=HOSTILE)
    ]
    made.processes = [Process(name=HOSTILE, pid=1, samples=process(1).samples)]
    made.redis = RedisUse(url=HOSTILE, cpu_share=0.1, commands_rate=1.0)
    made.steps = [*sweep().steps, step(99_000, latency=times(0.3), broken=HOSTILE)]
    return made


SHAPES = {
    "good": good,
    "bad": bad,
    "sweep": sweep,
    "long sweep": lambda: sweep([500.0 * number for number in range(1, 41)]),
    "sweep without a knee": lambda: sweep(kept=12),
    "sweep broken from the start": lambda: sweep(kept=0),
    "idle": idle,
    "interrupted": interrupted,
    "nothing": nothing,
    "storm": storm,
    "resumed": lambda: good(resumption=Resumption(events=30, polls=30, resumed=412, notices=0)),
    "storm without an end": lambda: storm(back=None),
    "long": long,
    "huge": huge,
    "single": single,
    "hostile": hostile,
}
