"""The measures: what is driven, and what is read off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count, islice

from .crowd import Crowd
from .fleet import abort
from .machine import raise_file_limit
from .reading import Reading, total
from .run import WARM_UP, Run, drive
from .servers import Clocks, Server
from .tally import Tally
from .wire import NO_HEADERS, WEBSOCKET, Format, accept, connect, open_many

P99_BAR = 0.060  # seconds from the moment a message was due
RARE_LOOK = 100_000_000  # ns between the clients' looks where no latency is measured
TRIES = 3  # runs at one rate before it counts as too much
PING_INTERVAL = 25.0  # seconds
AT_ONCE = 50  # handshakes at a time: fewer than a default backlog
PINGED = 0.9  # share of the expected pings that an idle server must send

# Starts a server with a ping interval in seconds, None for no pings.
Launch = Callable[[float | None], AbstractContextManager[Server]]


def fanout(launch: Launch, seconds: float, format: Format = WEBSOCKET) -> Reading:
    """Server CPU per delivery in µs: 1 channel, 1000 clients, 100 messages/s."""
    with launch(None) as server:
        run = drive(server, 1, 1000, 1, 100, seconds, RARE_LOOK, format)
    # Latencies would be those of the rare looks.
    return run.reading(run.delivery_cost).without("p50_ms", "p99_ms")


def publish(launch: Launch, seconds: float) -> Reading:
    """Server CPU per message in µs: 20 channels of 1 publisher and 1 subscriber, 10 000/s.

    A server that cannot keep this rate is measured at the rate it reaches.
    """
    with launch(None) as server:
        run = drive(server, 20, 1, 20, 10_000, seconds)
    return run.reading(run.delivery_cost)


def throughput(launch: Launch, seconds: float, rate: float) -> Reading:
    """Deliveries/s to 100 clients of one channel, from 10 publishers with rate messages/s in all.

    A run that is not in time is repeated, in case something else held it up; a loss in any
    of the runs counts.
    """
    readings: list[Reading] = []
    for _ in range(TRIES):
        with launch(None) as server:
            run = drive(server, 1, 100, 10, rate, seconds)
        readings.append(run.reading(run.delivery_rate, lateness(run)))
        if not readings[-1].flaw or (len(readings) > 1 and not readings[-1].disturbed):
            break
    return replace(readings[-1], tally=total(readings))


def lateness(run: Run) -> str:
    """Return why a run did not keep its rate; nothing when it did."""
    if run.window.unsent:
        return f"{run.window.unsent} unsent"
    return "" if 0 < run.p99 <= P99_BAR else "late"


def best_throughput(launch: Launch, seconds: float, rate: float = 600) -> Reading:
    """Deliveries/s at the highest rate that is kept in time and without loss.

    From the first rate (messages/s) upwards by a fifth until it is too much, then between
    the last good and the first bad one.
    """
    best: Reading | None = None
    good, bad = 0.0, 0.0
    while True:
        reading = throughput(launch, seconds, rate)
        if reading.tally.clean and not reading.flaw:
            best, good = reading, rate
        else:
            bad = rate
        if rate < 10 or (good and good < bad < good * 1.06):
            return best or reading
        rate = (good + bad) / 2 if good and bad else rate * 1.2 if good else rate / 2


def idle(launch: Launch, seconds: float, connections: int) -> tuple[Reading, Reading]:
    """Memory in KB per idle connection, and CPU in µs per connection and second.

    Args:
        launch: starts the server.
        seconds: how long the idle connections are watched.
        connections: how many.
    """
    raise_file_limit(connections + 200)
    with launch(PING_INTERVAL) as server:
        time.sleep(1)
        before = server.resident()
        crowd = Crowd(server.port, "/ws/idle", connections)
        try:
            crowd.wait(3)
            memory = (server.resident() - before) / 1024 / connections
            pings, clocks, client = crowd.pings, server.clocks(), time.process_time()
            begin = time.monotonic()
            crowd.wait(seconds)
            wall = time.monotonic() - begin
            used, client = server.clocks() - clocks, time.process_time() - client
            pinged = (crowd.pings - pings) / (connections * wall / PING_INTERVAL)
            tally = crowd.roll_call()
        finally:
            crowd.close()
    cpu = replace(
        used_in(wall, used.server / connections / wall * 1e6, tally, used, client),
        # Not pinging is not being cheap.
        flaw=f"only {pinged:.0%} of the pings" if pinged < PINGED else "",
        details={"pings": float(crowd.pings), "pinged": pinged},
    )
    # Memory is the same however busy the machine is.
    undisturbed = replace(cpu, server_waiting=0.0, redis_waiting=0.0, stolen=0.0)
    return replace(undisturbed, value=memory, flaw=""), cpu


def handshakes(
    launch: Launch, seconds: float, *, own_channels: bool = False, headers: Iterator[bytes] = NO_HEADERS
) -> tuple[Reading, Reading]:
    """Server CPU in µs per handshake, and handshakes/s. The end of each connection, by a reset, is included.

    Args:
        launch: starts the server.
        seconds: how long connections are opened, after WARM_UP that isn't measured.
        own_channels: whether each connection has a channel of its own, which the server subscribes to on the bus first.
            Otherwise all share one channel, in which one client stays: the bus takes no part.
        headers: further lines of each connection's request.
    """
    with launch(None) as server:
        (resident,) = open_many(server.port, "/ws/handshakes", 1, headers)
        paths = (f"/ws/handshakes{number if own_channels else ''}" for number in count())
        try:
            _open_and_reset(server.port, paths, WARM_UP, headers)
            clocks, client, begin = server.clocks(), time.process_time(), time.monotonic()
            opened = _open_and_reset(server.port, paths, seconds, headers)
            wall = time.monotonic() - begin
            used, client = server.clocks() - clocks, time.process_time() - client
        finally:
            abort(resident)
    cost = used_in(wall, used.server / opened * 1e6, Tally(), used, client)
    return cost, replace(cost, value=opened / wall)


def _open_and_reset(port: int, paths: Iterator[str], seconds: float, headers: Iterator[bytes]) -> int:
    """Open WebSocket connections, AT_ONCE at a time, and reset them; return how many."""
    opened, end = 0, time.monotonic() + seconds
    while not opened or time.monotonic() < end:
        batch = [connect(port, path, next(headers)) for path in islice(paths, AT_ONCE)]
        for sock, key in batch:
            accept(sock, key)
        for sock, _ in batch:
            abort(sock)
        opened += len(batch)
    return opened


def used_in(wall: float, value: float, tally: Tally, used: Clocks, client: float) -> Reading:
    """Return a value as a reading, with what the processes used in wall seconds; client is CPU time in seconds."""
    return Reading(
        value,
        tally,
        client_cpu=client / wall,
        server_cpu=used.server / wall,
        redis_cpu=used.redis / wall,
        server_waiting=used.server_waiting / wall,
        redis_waiting=used.redis_waiting / wall,
        stolen=used.stolen / wall,
    )
