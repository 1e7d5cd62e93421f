"""Parts of results, made up."""

from __future__ import annotations

import math

from relay.loadtest.result.faults import Fault, Incident
from relay.loadtest.result.result import Connects, Generator, Percentiles, Phase, Process, Sample, Second, Step

HOSTILE = "<img src=x onerror=alert(1)>\"'&</style></title><script>alert(2)</script>"
"""Text that must stay text wherever it stands."""


def times(median: float, *, count: int = 1_000_000, tail: float = 6.0, stall: float = 0.0) -> Percentiles:
    """Return a plausible distribution.

    Args:
        median: in seconds.
        count: of the values.
        tail: the maximum by the median, on the whole.
        stall: seconds that the last thousandth takes at most.
    """
    if not count:
        return Percentiles()

    def value(percentile: float) -> float:
        rest = max(1 - percentile / 100, 1 / count)
        grown = median * (
            1 + (tail - 1) * (math.log(0.5 / rest) / math.log(max(count, 10) / 2) if rest < 0.5 else 0) ** 1.5
        )
        grown *= 1 - 0.3 * max(0.0, rest - 0.5)
        return float(max(grown, stall * (1 - rest * 1000)) if stall and rest < 0.001 else grown)

    percentiles = [100 * (1 - 2 ** -(half / 4)) for half in range(int(4 * math.log2(count)) + 1)]
    return Percentiles(
        count=count,
        mean=value(55),
        p50=value(50),
        p90=value(90),
        p99=value(99),
        p99_9=value(99.9),
        p99_99=value(99.99),
        max=value(100),
        spectrum=(*((each, value(each)) for each in percentiles), (100.0, value(100))),
    )


def step(rate: float, *, receivers: int = 100, seconds: float = 30.0, latency: Percentiles, **rest: object) -> Step:
    """Return a step in which everything went well, but for what `rest` says."""
    messages = int(rate * seconds)
    fields: dict[str, object] = {
        "rate": rate,
        "seconds": seconds,
        "offered": messages,
        "sent": messages,
        "delivered": messages * receivers,
        "expected": messages * receivers,
        "latency": latency,
        "latency_sent": times(latency.p50 * 0.93, count=latency.count, tail=4.0),
    }
    return Step(**(fields | rest))  # type: ignore[arg-type]


def moments(
    *,
    ramp: int = 5,
    measured: int = 30,
    clients: int = 5000,
    rate: float = 2000.0,
    receivers: int = 100,
    median: float = 0.0012,
    stall: range = range(0),
) -> list[Second]:
    """Return the seconds of a run; during the measured seconds of `stall` nothing arrives."""
    made = [
        Second(second=second, phase=Phase.RAMP, connected=clients * (second + 1) // max(ramp, 1))
        for second in range(ramp)
    ]
    made.append(Second(second=ramp, phase=Phase.SETTLE, connected=clients))
    begin = ramp + 1
    for number in range(measured + 2):
        phase = Phase.WARM_UP if number < 2 else Phase.MEASURE
        stalled = number - 2 in stall
        waited = (stall.stop - (number - 2)) if stalled else 0.0
        noise = 1 + 0.12 * math.sin(number * 1.7) + 0.05 * math.sin(number * 5.1)
        quiet = not rate
        made.append(
            Second(
                second=begin + number,
                phase=phase,
                connected=clients,
                offered=int(rate),
                sent=int(rate * (1 + 0.004 * math.sin(number))),
                delivered=0 if stalled else int(rate * receivers * (1 + 0.006 * math.sin(number * 2.2))),
                p50=None if quiet else median * noise + waited / 2,
                p99=None if quiet else median * 2.9 * noise**2 + waited * 0.99,
                p99_9=None if quiet else median * 4.2 * noise**3 + waited,
                max=None if quiet else median * 6 * noise**3 + waited,
            )
        )
    end = begin + measured + 2
    made.append(Second(second=end, phase=Phase.DRAIN, connected=clients, delivered=int(rate * receivers * 0.01)))
    made.append(Second(second=end + 1, phase=Phase.CLOSE, connected=0))
    return made


def process(number: int, *, seconds: int = 40, cores: float = 0.6) -> Process:
    """Return a gateway's process over a run."""
    return Process(
        name=f"gateway {number}",
        pid=4000 + number,
        samples=[
            Sample(
                moment=second + 0.03,
                cpu_seconds=0.4 + cores * (max(0, second - 6) + 0.08 * math.sin(second * 1.3 + number)),
                rss_bytes=int(48 * 2**20 + min(second, 6) * 9.3 * 2**20 + number * 3 * 2**20),
                connections=5000,
            )
            for second in range(seconds)
        ],
        cpu_per_delivery=3.4e-6,
        cpu_per_connection=2.1e-5,
        rss_per_connection=11_400.0,
    )


def connects(*, wanted: int = 5020, made: int | None = None, seconds: float = 4.8) -> Connects:
    """Return a ramp."""
    done = wanted if made is None else made
    return Connects(wanted=wanted, made=done, seconds=seconds, handshake=times(0.0031, count=done), sessions=done)


def generator(*warnings: str) -> Generator:
    """Return a generator that kept up, unless it warns."""
    return Generator(
        workers=3,
        cpu_share=0.62,
        cpu_per_delivery=2.3e-6,
        lag=times(0.00012, count=90_000),
        send_lag=times(0.00009, count=60_000),
        warnings=list(warnings),
    )


def conditions() -> dict[str, str]:
    """Return what a run usually tells of its machine and options."""
    return {
        "relay": "0.3.0",
        "Python": "3.11.2, uvloop 0.22.1",
        "Kernel": "Linux 6.1.0-37-amd64 x86_64",
        "Processor": "8 \N{MULTIPLICATION SIGN} AMD EPYC 9R14",
        "Redis": "7.0.15",
        "Servers": "ws://127.0.0.1:8000, ws://127.0.0.1:8001",
        "Duration": "30 s after 2 s of warm-up",
        "Command line": "relay loadtest ws://127.0.0.1:8000 ws://127.0.0.1:8001 --clients 5000 --channels 50 "
        "--publishers 20 --rate 2000 --size 128 --duration 30s --report report.html",
    }


def incidents(number: int, text: str = "") -> list[Incident]:
    """Return faults of all kinds in turn."""
    kinds = list(Fault)
    return [
        Incident(
            fault=kinds[index % len(kinds)],
            moment=12.25 + index * 0.4,
            client=137 * (index + 1),
            url=f"ws://127.0.0.1:{8000 + index % 2}",
            channel=f"loadtest-{index % 50}",
            publisher=index % 20,
            first=4000 + index,
            last=4000 + index + index % 3,
            text=text or ('{"type":"ping","time":1763834451}' if kinds[index % len(kinds)] is Fault.UNEXPECTED else ""),
        )
        for index in range(number)
    ]
