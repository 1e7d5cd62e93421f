"""All clients of one run in one process: epoll, and publishers on an open-loop schedule."""

from __future__ import annotations

import gc
import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from .servers import Clocks
from .streams import Channel, Publisher, Stream, Subscriber
from .wire import WEBSOCKET, Format

TICK = 1_000_000  # ns between looks at the schedule
STALL = 2 * TICK  # ns by which a look is late when something held up the clients
GRACE = 1.0  # seconds after the schedule's end in which late messages are still sent
QUIET = 5.0  # seconds without any progress after which the rest counts as lost
EXTRA = 0.2  # seconds to wait for duplicates after everything arrived
SAMPLED = 5  # subscribers whose latencies are recorded, from the first to the last


@dataclass
class Window:
    """The measured part of a run, from the end of the warm-up to the last delivery."""

    wall: float = 0.0  # seconds
    deliveries: int = 0
    clocks: Clocks = field(default_factory=Clocks)
    client_cpu: float = 0.0  # seconds
    stalled: float = 0.0  # seconds by which the clients' looks at the schedule came late
    unsent: int = 0  # messages that were due but could not be sent, in the whole run


class Fleet:
    """The clients of one run."""

    def __init__(self, port: int, look: int = TICK, format: Format = WEBSOCKET) -> None:
        """Prepare for a server.

        Args:
            port: its port on 127.0.0.1.
            format: what the subscribers are given; the publishers have WebSockets.
            look: ns between two looks at the sockets; more than a tick saves client CPU
                where latencies do not matter.
        """
        self.port = port
        self.look = look
        self.format = format
        self.looked = 0  # ns of the monotonic clock
        self.epoll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.channels: list[Channel] = []
        self.received = 0  # bytes, all streams together
        # by descriptor: subscriber, stream positions in bytes, and when they were reached
        self.arrivals: dict[int, tuple[Subscriber, array[int], array[int]]] = {}
        self.start = 0  # of the schedule, ns of the monotonic clock
        self.measured = 0  # end of the warm-up, ns after the start

    def join(self, name: str, subscribers: int, schedules: list[array[int]], first: int) -> Channel:
        """Connect a channel's clients.

        Args:
            name: of the channel.
            subscribers: how many clients only listen.
            schedules: due times of each publisher's messages, in ns after the start.
            first: number of the first publisher; unique in the whole run.
        """
        channel = Channel(name, self.format)
        for sock in self.format.open_many(self.port, self.format.root + name, subscribers):
            channel.subscribers.append(Subscriber(sock, channel.reference, self.format))
        socks = WEBSOCKET.open_many(self.port, WEBSOCKET.root + name, len(schedules))
        for number, (sock, times) in enumerate(zip(socks, schedules, strict=True), first):
            channel.publishers.append(Publisher(sock, number, times))
        for stream in (*channel.subscribers, *channel.publishers):
            self.streams[stream.sock.fileno()] = stream
            self.epoll.register(stream.sock, select.EPOLLIN)
        self.channels.append(channel)
        return channel

    def sample(self) -> None:
        """Choose the subscribers whose arrival times are recorded: spread over all."""
        everyone = [s for channel in self.channels for s in channel.subscribers]
        count = min(SAMPLED, len(everyone))
        for i in range(count):
            chosen = everyone[i * (len(everyone) - 1) // max(1, count - 1)]
            self.arrivals[chosen.sock.fileno()] = chosen, array("q"), array("q")

    def run(self, warm_up: float, seconds: float, clocks: Callable[[], Clocks]) -> Window:
        """Send everything on schedule and receive until all has arrived.

        Args:
            warm_up: seconds at the start that are not measured.
            seconds: seconds of the schedule that are measured.
            clocks: reads the clocks of the server and of Redis.
        """
        window = Window()
        publishers = [p for channel in self.channels for p in channel.publishers]
        self.sample()
        gc.collect()
        gc.disable()
        self.start = start = time.monotonic_ns() + 20_000_000
        self.measured = int(warm_up * 1e9)
        self.play(publishers, start + self.measured)
        received, client, before = self.received, time.process_time(), clocks()
        window.stalled = self.play(publishers, start + int((warm_up + seconds) * 1e9)) / 1e9
        last = self.drain(publishers)
        window.unsent = sum(channel.unsent_messages() for channel in self.channels)
        window.clocks = clocks() - before
        window.client_cpu = time.process_time() - client
        window.wall = (last - start) / 1e9 - warm_up
        window.deliveries = (self.received - received) // self.format.size
        self.receive_for(EXTRA)
        gc.enable()
        return window

    def play(self, publishers: list[Publisher], until: int) -> int:
        """Send what is due and receive, until a moment in ns; return the ns of stalls."""
        stalled = 0
        due = [publisher.sent_messages for publisher in publishers]
        tick = time.monotonic_ns()
        while True:
            elapsed = min(tick, until) - self.start
            for i, publisher in enumerate(publishers):
                times, count = publisher.times, due[i]
                while count < len(times) and times[count] <= elapsed:
                    count += 1
                due[i] = count
                publisher.send(count)
            if tick >= until:
                return stalled
            following = min(tick + TICK, until)
            self.receive_until(following)
            # A late look sends everything that became due meanwhile; none is skipped.
            tick = max(following, time.monotonic_ns())
            if tick - following > STALL:
                stalled += tick - following

    def drain(self, publishers: list[Publisher]) -> int:
        """Receive until everything sent has arrived; return when the last bytes came."""
        begin = last = time.monotonic_ns()
        quiet = 0
        while quiet < QUIET * 1e9:
            before, looked = self.received, time.monotonic_ns()
            late = looked - begin > GRACE * 1e9
            for publisher in publishers:
                # After the grace only the rest of a half-sent frame still goes out.
                publisher.send(publisher.sent_messages if late else len(publisher.times))
            self.receive_until(looked + TICK)
            # A time in which this process, or the whole machine, stood still is not quiet.
            quiet += min(time.monotonic_ns() - looked, STALL)
            if self.received != before:
                last, quiet = time.monotonic_ns(), 0
            expected = sum(channel.expected_messages() for channel in self.channels)
            unsent = sum(channel.unsent_messages() for channel in self.channels)
            if self.received >= expected * self.format.size and (late or not unsent):
                break
        return last

    def receive_for(self, seconds: float) -> None:
        """Receive for some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.receive_until(time.monotonic_ns() + TICK)

    def receive_until(self, until: int) -> None:
        """Receive until a moment of the monotonic clock in ns.

        Once everything that has come is read, this sleeps until then instead of waiting
        for the next byte: a wake-up per byte would cost the clients most of their CPU,
        and the server some of its own. So latencies are up to one look too long.
        """
        clock = time.monotonic_ns
        if clock() - self.looked >= self.look and self.receive_all(until):
            self.looked = clock()
        time.sleep(max(0, until - clock()) / 1e9)

    def receive_all(self, until: int) -> bool:
        """Receive until nothing is left or a moment in ns; return whether nothing is left."""
        poll, streams, arrivals = self.epoll.poll, self.streams, self.arrivals
        clock = time.monotonic_ns
        # 32 at most, so that a burst of arrivals does not make the publishers late.
        while clock() < until:
            if not (events := poll(0, 32)):
                return True
            for descriptor, _ in events:
                stream = streams[descriptor]
                size = stream.receive()
                self.received += size
                if descriptor in arrivals:
                    _, positions, times = arrivals[descriptor]
                    positions.append(stream.position)
                    times.append(clock())
                if stream.closed:
                    self.epoll.unregister(descriptor)
        return False

    def close(self) -> None:
        """Reset all connections, so that no port waits in TIME_WAIT."""
        for stream in self.streams.values():
            abort(stream.sock)
        self.epoll.close()


def abort(sock: socket.socket) -> None:
    """Close a connection by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
