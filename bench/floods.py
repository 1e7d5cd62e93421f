"""What hostile clients do to healthy ones: python -m bench.floods.

200 clients in 20 channels send a message a second each, beside 80 sockets that send 0.8 MB a second of something small;
the time until a healthy client has its own message back, and until a newcomer is let in. Who is closed comes again.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized

import click

from . import machine
from .servers import end, free_port, start

HEALTHY, CHANNELS, FLOODERS = 200, 20, 80
BYTES_PER_SECOND = 10_000  # of one flooder
MASK = bytes(4)

# First, repeated and last frames of what a flooder sends ten times a second.
FLOODS = {
    "nothing": (b"", b"", b""),
    "pings": (b"", b"\x89\x80" + MASK, b""),
    "pongs": (b"", b"\x8a\x80" + MASK, b""),
    "empty fragments": (b"\x01\x80" + MASK, b"\x00\x80" + MASK, b"\x80\x80" + MASK),
    "fragments of 1 byte": (b"\x01\x80" + MASK, b"\x00\x81" + MASK + b"x", b"\x80\x80" + MASK),
    "empty messages": (b"", b"\x81\x80" + MASK, b""),
}


async def join(port: int, channel: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws/{channel} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def flood(port: int, kind: str, closed: Synchronized[int]) -> None:
    """Run all flooders, until killed."""
    first, repeated, last = FLOODS[kind]
    chunk = first + repeated * (BYTES_PER_SECOND // 10 // len(repeated)) + last

    async def swallow(reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass

    async def one() -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await join(port, "flood")
                reading = asyncio.ensure_future(swallow(reader))
                with suppress(OSError):
                    while not reading.done():
                        writer.write(chunk)
                        await writer.drain()
                        await asyncio.sleep(0.1)
                with closed.get_lock():
                    closed.value += 1
                reading.cancel()
                writer.close()
            await asyncio.sleep(0.5)

    async def crowd() -> None:
        await asyncio.gather(*(one() for _ in range(FLOODERS)))

    asyncio.run(crowd())


class Healthy:
    """The healthy clients.

    Attributes:
        waits: seconds until each message came back; of those that didn't, until now.
        entries: seconds until each newcomer was let in; 10 for those who gave up.
    """

    def __init__(self, port: int) -> None:
        self.waits: list[float] = []
        self.entries: list[float] = []
        self._port = port
        self._sent: dict[bytes, float] = {}
        self._going = True

    async def run(self, seconds: float) -> None:
        """Send for so long, after two seconds that don't count."""
        tasks = [asyncio.create_task(self._client(number)) for number in range(HEALTHY)]
        await asyncio.sleep(2)
        self.waits.clear()
        tasks.append(asyncio.create_task(self._newcomers()))
        await asyncio.sleep(seconds)
        self._going = False
        await asyncio.gather(*tasks)
        self.waits += [time.perf_counter() - sent for sent in self._sent.values()]

    async def _client(self, number: int) -> None:
        reader, writer = await join(self._port, f"{number % CHANNELS}?echo=1")
        name = b"%06d" % number
        reading = asyncio.create_task(self._read(reader, name))
        await asyncio.sleep(random.random())
        for count in range(1_000_000):
            if not self._going:
                break
            text = name + b"%08d" % count
            self._sent[text] = time.perf_counter()
            writer.write(b"\x81" + bytes([0x80 | len(text)]) + MASK + text)
            await asyncio.sleep(1)
        await asyncio.sleep(2)
        reading.cancel()
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, name: bytes) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(2)
                text = await reader.readexactly(head[1])
                if text.startswith(name) and text in self._sent:
                    self.waits.append(time.perf_counter() - self._sent.pop(text))

    async def _newcomers(self) -> None:
        while self._going:
            begin, seconds = time.perf_counter(), 10.0
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(10):
                    _, writer = await join(self._port, "new")
                seconds = time.perf_counter() - begin
                writer.close()
            self.entries.append(seconds)
            await asyncio.sleep(0.1)


@contextmanager
def gateway() -> Iterator[tuple[int, int]]:
    """Run a gateway alone; yield its port and its process id."""
    port = free_port()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "relay", "serve", "--port", str(port)]
        process = start(command, machine.SERVER_CORES, output, {"RELAY_LOG_LEVEL": "error", "HOME": folder})
        try:
            for _ in range(300):
                with suppress(OSError):
                    asyncio.run(join(port, "first"))
                    break
                time.sleep(0.1)
            yield port, process.pid
        finally:
            end(process)


def percentile(seconds: list[float], share: float) -> float:
    """Return a percentile in ms."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=8.0, help="Length of a run.")
@click.argument("kinds", nargs=-1, type=click.Choice(list(FLOODS)))
def main(seconds: float, kinds: tuple[str, ...]) -> None:
    """Flood a gateway with each kind of frame in turn."""
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    click.echo(machine.description())
    click.echo(
        "| flood | messages: p50, p99, worst | newcomers: p50, worst | CPU | flooders closed |\n|---|---|---|---|---|"
    )
    for kind in kinds or FLOODS:
        closed: Synchronized[int] = multiprocessing.Value("i", 0)
        with gateway() as (port, pid):
            flooder = multiprocessing.Process(target=flood, args=(port, kind, closed), daemon=True)
            if FLOODS[kind][1]:
                flooder.start()
            healthy = Healthy(port)
            asyncio.run(healthy.run(seconds))
            cpu = machine.cpu_seconds(pid)
            if flooder.pid is not None:
                flooder.kill()
                flooder.join()
        waits, entries = healthy.waits, healthy.entries
        click.echo(
            f"| {kind} | {percentile(waits, 0.5):.1f}, {percentile(waits, 0.99):.1f}, {percentile(waits, 1):.1f} ms "
            f"| {percentile(entries, 0.5):.1f}, {percentile(entries, 1):.1f} ms | {cpu:.1f} s | {closed.value} |"
        )


if __name__ == "__main__":
    main()
