"""Clients that all come back at once, each with what it has missed: python -m bench.returning.

Event streams, as a browser resumes them, with Last-Event-ID. The gateway has just started, as after a restart: it has
none of the messages at hand, and reads the history of each channel.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import time
from collections import deque
from functools import partial

import click
import redis

from relay import Publisher

from . import machine
from .compare.interruption import Interruption
from .fleet import abort
from .servers import PREFIXES, Clocks, redis_server, server

SETTINGS = {"RELAY_NAMESPACES": json.dumps({"kept": {"history_size": 100, "history_ttl": 300}})}
ID = re.compile(rb"^id: \S+:(\d+)\ndata: ", re.MULTILINE)
OPENING = 512  # connections that wait for the gateway at a time: the kernel's queue of them is not what is measured
PATIENCE = 60.0  # seconds after which what has not come counts as lost
MOST_SECONDS = 6.0


class Stream:
    """One event stream that comes back.

    Args:
        port: of the gateway.
        channel: its name.
        position: of the last message that it has.
    """

    def __init__(self, port: int, channel: str, position: str) -> None:
        """Begin to connect."""
        self.channel = channel
        self.data = b""
        self.request = b"GET /sse/%b HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: %b\r\n\r\n" % (
            channel.encode(),
            position.encode(),
        )
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))

    @property
    def offsets(self) -> list[int]:
        """The offsets of what has come, in its order."""
        return [int(offset) for offset in ID.findall(self.data)]


class Returning:
    """All streams.

    Args:
        port: of the gateway.
        positions: of each channel.
        clients: number of streams, dealt out to the channels.
    """

    def __init__(self, port: int, positions: dict[str, str], clients: int) -> None:
        """Wait for `come`."""
        names = list(positions)
        channels = [names[number % len(names)] for number in range(clients)]
        self._waiting = deque(partial(Stream, port, channel, positions[channel]) for channel in channels)
        self._port = port
        self._positions = positions
        self._opening = 0
        self._epoll = select.epoll()
        self.refused = 0
        self.streams: dict[int, Stream] = {}

    def come(self, last: int) -> float:
        """Connect those that have not, and receive until all have the message with an offset; return the seconds."""
        begin = time.monotonic()
        marker = b":%d\ndata: " % last
        missing = len(self._waiting) + sum(marker not in stream.data for stream in self.streams.values())
        while missing and time.monotonic() - begin < PATIENCE:
            while self._waiting and self._opening < OPENING:
                stream = self._waiting.popleft()()
                self.streams[stream.sock.fileno()] = stream
                self._epoll.register(stream.sock, select.EPOLLOUT)
                self._opening += 1
            for descriptor, _ in self._epoll.poll(0.1, 512):
                stream = self.streams[descriptor]
                if stream.request:
                    stream.sock.send(stream.request)
                    stream.request = b""
                    self._epoll.modify(descriptor, select.EPOLLIN)
                    continue
                had = marker in stream.data
                self._opening -= not stream.data
                if chunk := stream.sock.recv(65536):
                    stream.data += chunk
                    missing -= not had and marker in stream.data
                else:
                    self._come_again(stream)
        return time.monotonic() - begin

    def _come_again(self, stream: Stream) -> None:
        """Connect once more, behind all others, for a stream that the gateway has refused or ended."""
        self.refused += 1
        del self.streams[stream.sock.fileno()]
        stream.sock.close()
        self._waiting.append(partial(Stream, self._port, stream.channel, self._positions[stream.channel]))

    def lacking(self, expected: list[int]) -> int:
        """Return how many streams have anything but these offsets, each once and in order."""
        return sum(stream.offsets != expected for stream in self.streams.values())

    def close(self) -> None:
        """Reset all connections."""
        for stream in self.streams.values():
            abort(stream.sock)
        self._epoll.close()


@click.command(context_settings={"show_default": True})
@click.option("--clients", default=10_000, type=click.IntRange(1), help="Event streams.")
@click.option("--channels", default=100, type=click.IntRange(1), help="Among which they are dealt out.")
@click.option("--missed", default=20, type=click.IntRange(1, 99), help="Messages that each has missed.")
@click.option("--patience", default=60.0, help="Seconds to wait for a quiet machine.")
def main(clients: int, channels: int, missed: int, patience: float) -> None:
    """Let clients come back at once, and tell how long it takes until all are live again.

    The exit code is 1 when one of them lacks a message or has one twice, and when a history was read more than once.
    """
    Interruption()
    machine.raise_file_limit(clients + 200)
    click.echo(machine.description())
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    names = [f"kept:room-{number}" for number in range(min(channels, clients))]
    command = [sys.executable, "-m", "relay", "serve"]
    machine.wait_until_quiet(patience)
    with redis_server() as bus, server("relay", command, bus, "auto", None, settings=SETTINGS) as started:
        publish_all(bus.url, names, 1)
        positions = read_positions(bus.url, names)
        publish_all(bus.url, names, missed)
        returning = Returning(started.port, positions, clients)
        before = started.clocks()
        try:
            seconds = returning.come(1 + missed)
            used = started.clocks() - before
            lacking = returning.lacking(list(range(2, missed + 2)))
            reads = count_reads(bus.url)
            publish_all(bus.url, names, 1)
            live = returning.come(2 + missed)
            lacking = max(lacking, returning.lacking(list(range(2, missed + 3))))
        finally:
            returning.close()
    click.echo(report(clients, len(names), seconds, live, used, reads, returning.refused, lacking))
    if lacking or reads > len(names):
        raise SystemExit(1)


def report(
    clients: int, channels: int, seconds: float, live: float, used: Clocks, reads: int, refused: int, lacking: int
) -> str:
    """Return what was measured, as lines."""
    held_up, stolen = used.server_waiting, used.stolen
    return "\n".join(
        (
            f"{clients:,} clients of {channels:,} channels had all that they had missed after {seconds:.2f} s",
            f"  the gateway used {used.server:.2f} s of its core, Redis {used.redis:.2f} s; at most {MOST_SECONDS:g} s",
            f"  others held up the gateway for {held_up:.2f} s, and the machine for {stolen:.2f} s",
            f"  the next message of each channel had reached all after {live:.2f} s",
            f"  {reads} readings of histories; {refused} connections refused, and made again",
            f"  clients with anything lost, doubled or out of order: {lacking}",
        )
    )


def publish_all(url: str, channels: list[str], count: int) -> None:
    """Publish so many messages to each channel, as a back end does."""
    with Publisher(url, prefix=PREFIXES["relay"]) as publisher:
        for channel in channels:
            for _ in range(count):
                publisher.publish(channel, "x" * 128)


def read_positions(url: str, channels: list[str]) -> dict[str, str]:
    """Return the position of the newest message of each channel; see `relay.brokers.redis.scripts`."""
    positions = {}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for channel in channels:
            known = str(client.get(f"{PREFIXES['relay']}{{{channel}}}:position"))
            positions[channel] = f"{known[64:85]}:{int(known[:16])}"
    return positions


def count_reads(url: str) -> int:
    """Return how often messages were read of any history.

    Gateways also look at the positions of quiet channels, all the time; that brings no messages.
    """
    with redis.Redis.from_url(url) as client:
        commands = client.info("commandstats")
    return sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("xrange", "xrevrange"))


if __name__ == "__main__":
    main()
