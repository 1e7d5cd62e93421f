"""What one run of one peer showed, in the units of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from relay.loadtest.result.result import Phase, Result

MOST_STOLEN = 0.2  # share of the time taken by the host from which a round says nothing about a server


@dataclass(frozen=True)
class Score:
    """One line of a table.

    Args:
        peer: its name.
        workload: its name.
        deliveries: that came per second, while measured.
        deliveries_per_cpu_second: of the server; None without deliveries.
        delivery_us: server CPU per delivery in µs; None without deliveries.
        server_cpu: share of a core.
        p50_ms: from the moment a message was due to its delivery; of an idle run, None.
        p99_ms: the same.
        lost: deliveries that had not come when the drain ended.
        faults: everything else that must not happen: what → how often.
        rss_kb: memory per connection.
        idle_us: server CPU per connection and second; of an idle run only.
        connect_rate: connections made per second.
        handshake_p99_ms: from the beginning of a connection to its being subscribed.
        redis_cpu: share of a core.
        generator_cpu: share of a core, of the busiest worker.
        stolen: share of the time in which the host ran something else than this machine.
        warnings: of the generator.
        costs: the CPU cost of all rounds, rising, in µs.
        losses: of all rounds, rising.
    """

    peer: str
    workload: str
    deliveries: float
    deliveries_per_cpu_second: float | None
    delivery_us: float | None
    server_cpu: float
    p50_ms: float | None
    p99_ms: float | None
    lost: int
    faults: dict[str, int]
    rss_kb: float | None
    idle_us: float | None
    connect_rate: float
    handshake_p99_ms: float
    redis_cpu: float | None
    generator_cpu: float
    stolen: float
    warnings: list[str] = field(default_factory=list)
    costs: tuple[float, ...] = ()
    losses: tuple[int, ...] = ()

    @property
    def cost(self) -> float | None:
        """CPU per delivery, or per idle connection and second, in µs."""
        return self.delivery_us if self.idle_us is None else self.idle_us

    @property
    def clean(self) -> bool:
        """Whether everything came, once, in order, and nobody was closed or refused."""
        return not self.lost and not self.faults


def score(peer: str, workload: str, idle: bool, result: Result, stolen: float) -> Score:
    """Return the figures of a run."""
    step, process = result.headline, result.processes[0]
    latency = step.latency if step and step.latency.count and not idle else None
    cost = process.cpu_per_delivery if not idle else None
    per_connection = process.cpu_per_connection
    connections = result.clients + result.publishers
    return Score(
        peer=peer,
        workload=workload,
        deliveries=delivery_rate(result),
        deliveries_per_cpu_second=1 / cost if cost else None,
        delivery_us=cost * 1e6 if cost else None,
        server_cpu=per_connection * connections if per_connection else 0.0,
        p50_ms=latency.p50 * 1e3 if latency else None,
        p99_ms=latency.p99 * 1e3 if latency else None,
        lost=result.faults.lost,
        faults=other_faults(result),
        rss_kb=process.rss_per_connection / 1024 if process.rss_per_connection else None,
        idle_us=per_connection * 1e6 if idle and per_connection else None,
        connect_rate=result.connects.rate,
        handshake_p99_ms=result.connects.handshake.p99 * 1e3,
        redis_cpu=result.redis.cpu_share if result.redis else None,
        generator_cpu=result.generator.cpu_share,
        stolen=stolen,
        warnings=result.generator.warnings,
    )


def least_disturbed(rounds: list[Score]) -> Score:
    """Return the round with the fewest faults and losses, then the lowest p99 (idle: the cheapest), and all the costs.

    What else runs on a machine makes latencies longer, never shorter. The cheapest busy round is no measure: a server
    that is held up does more at once, and looks cheaper than it is.

    Args:
        rounds: of one peer and workload; one at least.
    """
    rounds = [round for round in rounds if round.stolen <= MOST_STOLEN] or rounds

    def disturbance(round: Score) -> tuple[int, int, float]:
        return sum(round.faults.values()), round.lost, round.p99_ms or round.idle_us or 0.0

    return replace(
        min(rounds, key=disturbance),
        faults=max(rounds, key=disturbance).faults,
        losses=tuple(sorted(round.lost for round in rounds)),
        costs=tuple(sorted(round.cost for round in rounds if round.cost is not None)),
    )


def delivery_rate(result: Result) -> float:
    """Return the deliveries/s that came while messages were sent: what comes in the drain is late, not fast."""
    counts = [moment.delivered for moment in result.moments if moment.phase is Phase.MEASURE]
    return sum(counts) / len(counts) if counts else 0.0


def other_faults(result: Result) -> dict[str, int]:
    """Return all faults but losses: what → how often."""
    faults = result.faults
    counts = {name: getattr(faults, name) for name in ("duplicated", "reordered", "foreign", "unexpected", "unsent")}
    counts |= {f"closed: {cause}": count for cause, count in faults.closed.items()}
    counts |= {f"refused: {cause}": count for cause, count in faults.refused.items()}
    return {name: count for name, count in counts.items() if count}
