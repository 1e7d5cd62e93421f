"""The rows of the table: which measure, which bar, in what order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich.console import Console

from . import measures
from .machine import wait_until_quiet
from .measures import Launch
from .reading import Reading, median
from .table import Bar, Row
from .wire import EVENTS, WEBSOCKET

FANOUT = "fan-out, 1000 clients, 100 msg/s"
EVENT_STREAMS = "fan-out as server-sent events, 1000 clients, 100 msg/s"
THROUGHPUT = "throughput, 100 clients, 10 publishers, {} msg/s"
PUBLISH = "publish to 1 client, 10 k msg/s, 20 channels"


class Suite:
    """One run of the bench: its servers and its rows."""

    def __init__(
        self, launches: dict[str, Launch], floor: Launch, seconds: float, rounds: int, patience: float
    ) -> None:
        """Prepare the measures.

        Args:
            launches: how each server under test is started, by name.
            floor: how the server that does nothing but send() is started.
            seconds: length of each run.
            rounds: rounds of the CPU measures.
            patience: seconds to wait for a quiet machine, all measures together.
        """
        self.launches = launches
        self.floor = floor
        self.seconds = seconds
        self.patience = patience
        self.rounds = rounds
        self.rows: list[Row] = []
        self.console = Console(stderr=True)

    def row(self, name: str, unit: str, bar: Bar | None, against: str = "everyday") -> Row:
        """Add a row to the table."""
        self.rows.append(Row(name, unit, bar, against=against))
        return self.rows[-1]

    def announce(self, name: str, row: Row, after: str = "") -> None:
        """Wait for a quiet machine, then print that a server is being measured."""
        self.patience -= wait_until_quiet(self.patience)
        self.console.print(f"{name}: {row.name}{after} ...", style="dim", highlight=False)

    def fanout(self) -> None:
        """Measure the CPU per delivery."""
        bar = Bar(0.55, "<= 0.55 x everyday", relative=True)
        row = self.row(FANOUT, "us of server CPU per delivery", bar)
        launches = self.launches | {"floor": self.floor}
        self.in_turns(row, {name: partial(measures.fanout, launch) for name, launch in launches.items()})

    def sse(self) -> None:
        """Measure the CPU per delivery of server-sent events beside that of WebSockets, both of the relay."""
        if launch := self.launches.get("relay"):
            bar = Bar(1.3, "<= 1.3 x WebSocket", relative=True)
            row = self.row(EVENT_STREAMS, "us of server CPU per delivery", bar, against="WebSocket")
            turns = {"WebSocket": WEBSOCKET, "relay": EVENTS}
            self.in_turns(
                row, {name: partial(measures.fanout, launch, format=format) for name, format in turns.items()}
            )

    def publish(self) -> None:
        """Measure the CPU per publish."""
        bar = Bar(0.25, "<= 0.25 x everyday", relative=True)
        row = self.row(PUBLISH, "us of server CPU per message", bar)
        self.in_turns(row, {name: partial(measures.publish, launch) for name, launch in self.launches.items()})

    def in_turns(self, row: Row, turns: dict[str, Callable[[float], Reading]]) -> None:
        """Measure what a row compares in turns, so that a slow spell of the machine meets both.

        A turn in which other processes held up a server is repeated, but not for ever.

        Args:
            row: of the table.
            turns: measures for some seconds, by name.
        """
        readings: dict[str, list[Reading]] = {name: [] for name in turns}
        good = turn = 0
        while good < self.rounds and turn < 2 * self.rounds:
            turn += 1
            for name, measure in turns.items():
                self.announce(name, row, f", round {turn}")
                readings[name].append(measure(self.seconds))
            good += not any(rounds[-1].disturbed for rounds in readings.values())
        row.readings = {name: median(rounds) for name, rounds in readings.items()}

    def throughput(self) -> None:
        """Measure deliveries/s: everyday at its best rate, the relay at two fixed ones."""
        bar = Bar(2e6, ">= 2 M", at_least=True)
        row = self.row(THROUGHPUT.format("20 k"), "deliveries/s, p99 <= 60 ms", bar)
        extra = self.row(THROUGHPUT.format("40 k"), "deliveries/s, p99 <= 60 ms", None)
        if launch := self.launches.get("everyday"):
            self.announce("everyday", row, " (its own best rate)")
            best = measures.best_throughput(launch, self.seconds)
            row.readings["everyday"] = extra.readings["everyday"] = best
        if launch := self.launches.get("relay"):
            for target, rate in ((row, 20_000), (extra, 40_000)):
                self.announce("relay", target)
                target.readings["relay"] = measures.throughput(launch, self.seconds, rate)

    def idle(self, seconds: float, connections: int) -> None:
        """Measure memory and CPU of idle connections."""
        what = f"{connections} idle connections"
        memory = self.row(f"memory of {what}", "KB per connection", Bar(6.5, "<= 6.5 KB"))
        pings = f", ping every {measures.PING_INTERVAL:.0f} s"
        cpu = self.row(f"CPU of {what}{pings}", "us per connection and second", Bar(2, "<= 2 us"))
        for name, launch in self.launches.items():
            self.announce(name, cpu)
            memory.readings[name], cpu.readings[name] = measures.idle(launch, seconds, connections)
