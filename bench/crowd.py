"""Thousands of idle clients that answer pings."""

from __future__ import annotations

import select
import socket
import time

from .fleet import abort
from .tally import Tally, check, parse
from .wire import CLOSE, PING, PONG, TEXT, client_frame, frames, message, open_many


class Crowd:
    """Idle clients of one channel; the last one of them can speak."""

    def __init__(self, port: int, path: str, count: int) -> None:
        """Connect count clients to path on 127.0.0.1:port."""
        self.socks = {sock.fileno(): sock for sock in open_many(port, path, count)}
        self.speaker = next(reversed(self.socks.values()))
        self.data: dict[int, bytes] = {}  # what is left after control frames
        self.epoll = select.epoll()
        for descriptor in self.socks:
            self.epoll.register(descriptor, select.EPOLLIN)
        self.pings = 0
        self.closed = 0

    def wait(self, seconds: float) -> None:
        """Answer pings for some seconds."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            for descriptor, _ in self.epoll.poll(remaining, 512):
                self.receive(descriptor, self.socks[descriptor])

    def receive(self, descriptor: int, sock: socket.socket) -> None:
        """Read once, answer pings and keep the messages."""
        try:
            chunk = sock.recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.closed += 1
            self.epoll.unregister(descriptor)
            return
        data, end, kept = self.data.get(descriptor, b"") + chunk, 0, b""
        for opcode, payload, position in frames(data):
            if opcode == PING:
                self.pings += 1
                sock.send(client_frame(PONG, payload))
            elif opcode != CLOSE:
                kept += data[end:position]
            end = position
        if kept or end < len(data):
            self.data[descriptor] = kept + data[end:]
        else:
            self.data.pop(descriptor, None)

    def roll_call(self, count: int = 3) -> Tally:
        """Let one client send count messages and check that all others get them."""
        for sequence in range(count):
            self.speaker.send(client_frame(TEXT, message(0, sequence, 0)))
        end = time.monotonic() + 10
        everyone = [d for d, sock in self.socks.items() if sock is not self.speaker]
        size = len(message(0, 0, 0)) * count
        while time.monotonic() < end:
            self.wait(0.2)
            if all(len(self.data.get(d, b"")) >= size for d in everyone):
                break
        tally = Tally(closed=self.closed)
        for descriptor in everyone:
            tally += check(parse(self.data.get(descriptor, b"")), {0: count})
        tally += check(parse(self.data.get(self.speaker.fileno(), b"")), {0: 0})
        return tally

    def close(self) -> None:
        """Reset all connections."""
        for sock in self.socks.values():
            abort(sock)
        self.epoll.close()
