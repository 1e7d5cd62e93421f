"""200 clients that talk to each other, in a process of their own with the control's, and what each message took."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from math import inf
from multiprocessing.connection import Connection
from typing import Final

from tests.attacks.control import CLIENTS as CONTROLS
from tests.attacks.control import EchoClient
from tests.attacks.verdict import Span
from tests.fuzz.grammar.websocket import KEY, frame

CLIENTS: Final = 200
CHANNELS: Final = 20
RATE: Final = 2.0
"""Messages that each client sends in a second."""

NEWCOMER_SECONDS: Final = 10.0
NEWCOMER_PAUSE_SECONDS: Final = 0.2

SILENCE_SECONDS: Final = 15.0
"""What hasn't come when nothing more has come for so long counts as lost."""

_SENT = 24
"""Bytes of a message: its sender and its number."""


@dataclass(slots=True)
class Window:
    """What the clients have seen in a span of time.

    Args:
        latencies: seconds from the time at which each message was due to its coming back to its sender; or to the end
            of the span, when it hasn't: what an attack holds up must not be missing.
        control: the same of the echo server's clients.
    """

    latencies: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)

    def span(self, seconds: float) -> Span:
        """Return what counts of it.

        Args:
            seconds: how long it was.
        """
        return Span(_p99(self.latencies), _p99(self.control), len(self.latencies) / (CLIENTS * RATE * seconds))


def _p99(latencies: list[float]) -> float:
    """Return the seconds after which 99 % of the messages were back; infinite when there were none."""
    return sorted(latencies)[int(len(latencies) * 0.99)] if latencies else inf


class _Client(asyncio.Protocol):
    """One WebSocket: checks that it hears each message of its channel, once and in order."""

    def __init__(self, crowd: _Crowd, name: int) -> None:
        self._crowd = crowd
        self._name = name
        self._data = b""
        self.opened = asyncio.get_running_loop().create_future()
        self._numbers: Counter[int] = Counter()
        self._due: deque[float] = deque()
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        lines = [f"GET /ws/healthy-{self._name % CHANNELS}?echo=1{self._crowd.query} HTTP/1.1", "Host: 127.0.0.1"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"]
        transport.write("\r\n".join([*lines, "Sec-WebSocket-Version: 13", "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._data += data
        if not self.opened.done():
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self._crowd.faults.append(f"a healthy client was refused: {head[:100]!r}")
            self._data = rest
            self.opened.set_result(None)
        while len(self._data) >= 2 and len(self._data) >= 2 + self._data[1]:
            opcode, payload = self._data[0], self._data[2 : 2 + self._data[1]]
            self._data = self._data[2 + self._data[1] :]
            if opcode == 0x81:
                self._hear(payload, now)
            elif opcode == 0x89:
                self.transport.write(frame(10, payload))
            elif opcode == 0x88:
                self._crowd.faults.append(f"a healthy client was closed: {payload!r}")

    def connection_lost(self, error: Exception | None) -> None:
        if self._crowd.going:
            self._crowd.faults.append(f"a healthy client was dropped: {error}")
        if not self.opened.done():
            self.opened.set_result(None)

    def speak(self, due: float) -> None:
        """Send a message."""
        self.sent += 1
        self._due.append(due)
        self._crowd.sent[self._name % CHANNELS] += 1
        self.transport.write(frame(1, b"%4d%20d" % (self._name, self.sent)))

    def waiting(self, now: float) -> list[float]:
        """Return for how many seconds each message has waited that isn't back."""
        return [now - due for due in self._due]

    def _hear(self, payload: bytes, now: float) -> None:
        sender, number = int(payload[:4]), int(payload[4:_SENT])
        self._numbers[sender] += 1
        if self._numbers[sender] != number:
            self._crowd.faults.append(
                f"client {self._name} hears {number} of client {sender}, not {self._numbers[sender]}"
            )
            self._numbers[sender] = number
        self._crowd.heard[self._name] += 1
        if sender == self._name and self._due:
            self._crowd.window.latencies.append(now - self._due.popleft())


class _Crowd:
    """All of them, in their own process."""

    def __init__(self, port: int, query: str, control_port: int) -> None:
        self.query = query
        self.window = Window()
        self.newcomers: list[float] = []
        self.faults: list[str] = []
        self.sent: Counter[int] = Counter()
        self.heard: Counter[int] = Counter()
        self.going = True
        self._port = port
        self._control_port = control_port

    async def run(self, line: Connection) -> None:
        """Talk until told to end; answer requests on the line."""
        loop = asyncio.get_running_loop()
        clients, controls = [], []
        for name in range(CLIENTS):
            _, client = await loop.create_connection(partial(_Client, self, name), "127.0.0.1", self._port)
            clients.append(client)
        for _ in range(CONTROLS):
            _, control = await loop.create_connection(
                lambda: EchoClient(self.window.control), "127.0.0.1", self._control_port
            )
            controls.append(control)
        await asyncio.gather(*(client.opened for client in clients))
        talks = [asyncio.create_task(self._talk(client)) for client in clients]
        talks += [asyncio.create_task(control.talk()) for control in controls]
        talks.append(asyncio.create_task(self._newcomers()))
        requests: asyncio.Queue[str] = asyncio.Queue()
        loop.add_reader(line.fileno(), lambda: requests.put_nowait(line.recv()))
        line.send("connected")
        while await requests.get() != "end":
            window, self.window, now = self.window, Window(), time.perf_counter()
            for client in clients:
                window.latencies += client.waiting(now)
            for control in controls:
                window.control += control.waiting(now)
                control.latencies = self.window.control
            line.send(window)
        for talk in talks:
            talk.cancel()
        await self._settled()
        self.going = False
        line.send((self.newcomers, self.faults))
        for client in clients:
            client.transport.abort()

    async def _talk(self, client: _Client) -> None:
        """Send at an even rate, whatever comes back; a late message counts from when it was due."""
        due = time.perf_counter() + random.random() / RATE
        while True:
            await asyncio.sleep(due - time.perf_counter())
            client.speak(due)
            due += 1 / RATE

    async def _newcomers(self) -> None:
        """Let a client come in now and then, and go."""
        request = f"GET /ws/newcomers?a=b{self.query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        request += f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        while True:
            begin = time.perf_counter()
            try:
                async with asyncio.timeout(NEWCOMER_SECONDS):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.write(request.encode())
                    answer = await reader.readuntil(b"\r\n")
                    writer.transport.abort()
                if not answer.startswith(b"HTTP/1.1 101 "):
                    self.faults.append(f"a newcomer was refused: {answer!r}")
            except (OSError, EOFError, TimeoutError) as error:
                self.faults.append(f"a newcomer was not let in: {error!r}")
            self.newcomers.append(time.perf_counter() - begin)
            await asyncio.sleep(NEWCOMER_PAUSE_SECONDS)

    async def _settled(self) -> None:
        """Wait until everything that was sent has come to all clients of its channel, or nothing comes any more."""
        before, end = -1, 0.0
        while missing := sum(self.sent[name % CHANNELS] - self.heard[name] for name in range(CLIENTS)):
            if missing != before:
                before, end = missing, time.monotonic() + SILENCE_SECONDS
            elif time.monotonic() > end:
                self.faults.append(f"{missing} deliveries to healthy clients are missing")
                return
            await asyncio.sleep(0.05)


class HealthyCrowd:
    """The healthy clients, from outside. A context manager.

    Args:
        port: of the gateway.
        query: what follows in the query of each client, with the `&`.
        control_port: of the echo server.
    """

    def __init__(self, port: int, query: str, control_port: int) -> None:
        self._line, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_run, args=(port, query, control_port, theirs), daemon=True
        )

    def __enter__(self) -> HealthyCrowd:
        self._process.start()
        assert self._ask(None) == "connected"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    @property
    def pid(self) -> int:
        """Their process."""
        assert self._process.pid is not None
        return self._process.pid

    def window(self) -> Window:
        """Return what they have seen since the last call."""
        window = self._ask("window")
        assert isinstance(window, Window)
        return window

    def end(self) -> tuple[list[float], list[str]]:
        """Let them end; return how many seconds each newcomer has waited, and what went wrong for all of them."""
        answer = self._ask("end")
        assert isinstance(answer, tuple)
        newcomers, faults = answer
        return newcomers, faults

    def _ask(self, request: str | None) -> object:
        if request is not None:
            self._line.send(request)
        if not self._line.poll(120):
            raise TimeoutError("the healthy clients don't answer")
        answer: object = self._line.recv()
        return answer


def _run(port: int, query: str, control_port: int, line: Connection) -> None:
    asyncio.run(_Crowd(port, query, control_port).run(line))
