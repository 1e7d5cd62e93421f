"""Listening sockets and the accept loop.

The loop is ours because those of asyncio and uvloop can't be told to wait: when file descriptors run out,
asyncio logs a traceback for each client in the backlog (python/cpython#151615) and uvloop accepts and drops
them. Here the clients stay in the kernel's backlog until there is room.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

from relay.gateway.adoption import AcceptedSocket, Adoption
from relay.gateway.front_door import FrontDoor
from relay.gateway.proxy_phase import ProxyPhase
from relay.logs import Logger
from relay.web.listen_addresses import bind_all, resolve_addresses

BACKLOG = 4096
ACCEPTS_PER_TICK = 64
YIELDS_PER_TICK = 16
"""How many idle HTTP connections are dropped at once for others; a part of the descriptors that are kept."""
PAUSE_SECONDS = 0.1
LOG_SECONDS = 10.0

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = Logger("relay.gateway")


class Listener:
    """Accepts clients on some addresses, as long as there is room for them.

    Args:
        front_door: what all sockets of the port share.
    """

    def __init__(self, front_door: FrontDoor) -> None:
        self._front_door = front_door
        self._loop = front_door.context.loop
        self._sockets: list[socket.socket] = []
        # Sockets that get their transports in this turn, and those that take longer.
        self._in_turn = 0
        self._adopting: set[asyncio.Task[Any]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._logged_at: float | None = None

    async def start(self, hosts: list[str], port: int, *, shared: bool = False) -> int:
        """Listen.

        Args:
            hosts: addresses or names; see `resolve_addresses`.
            port: TCP port; 0: any free one, the same for all addresses.
            shared: let other processes of the same user listen there, too; the kernel spreads clients over them.

        Returns:
            The port.

        Raises:
            OSError: an address can't be used.
        """
        found = await resolve_addresses(hosts, port)
        for address, error in found.left_out.items():
            log.warning("address left out", address=address, error=error)
        if found.ipv6_only:
            log.info("no IPv4", reason=":: takes IPv6 alone; RELAY_HOST=0.0.0.0,:: takes both")
        self._sockets, port = bind_all(partial(_bind, shared), found.usable, port)
        self._resume()
        return port

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets on which it listens."""
        return self._sockets

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [listening.getsockname()[0] for listening in self._sockets]

    def close(self) -> None:
        """Accept no more; the kernel refuses new clients."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            with suppress(OSError):  # macOS
                listening.shutdown(socket.SHUT_RDWR)  # also where a supervisor has the same socket
            listening.close()
        self._sockets.clear()

    async def wait_adopted(self) -> None:
        """Wait until every accepted socket has its transport."""
        await asyncio.sleep(0)  # behind `_finish`
        if self._adopting:
            await asyncio.wait(self._adopting)

    def _resume(self) -> None:
        self._pause = None
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _wait(self) -> None:
        for listening in self._sockets:
            self._loop.remove_reader(listening)
        if self._pause is None:
            self._pause = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _accept(self, listening: socket.socket) -> None:
        adoptions: list[Adoption] = []
        try:
            self._accept_clients(listening, adoptions)
        finally:
            if adoptions:
                self._in_turn += len(adoptions)
                # Behind the calls of `connection_made`, which adopting has scheduled.
                self._front_door.handshakes.run_soon()
                self._loop.call_soon(self._finish, adoptions)

    def _accept_clients(self, listening: socket.socket, adoptions: list[Adoption]) -> None:
        front_door = self._front_door
        room = front_door.max_sockets - front_door.sockets - self._in_turn - len(self._adopting)
        if room <= 0:
            self._make_room()
            return
        for _ in range(min(room, ACCEPTS_PER_TICK)):  # the loop calls again if there are more
            try:
                accepted, peer = _accept(listening)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno == errno.EINVAL:
                    self._wait()  # the supervisor has stopped it, as this process seemed to hang
                    return
                if error.errno not in _EXHAUSTED:
                    raise
                self._exhausted(error)
                return
            phase = ProxyPhase(front_door, peer)
            phase.look_ahead(accepted)
            try:
                adoptions.append(Adoption(self._loop, phase, accepted))
            except OSError:
                accepted.close()  # the client is gone already

    def _finish(self, adoptions: list[Adoption]) -> None:
        self._in_turn -= len(adoptions)
        for adoption in adoptions:
            if (task := adoption.finish()) is not None:
                self._adopting.add(task)
                task.add_done_callback(self._adopting.discard)

    def _make_room(self) -> None:
        """Drop idle HTTP connections, so that clients with a request have a place: probes above all."""
        if not self._yield_places():
            self._wait()

    def _yield_places(self) -> int:
        """Drop some clients that ask for nothing; return how many there were."""
        given = 0
        while given < YIELDS_PER_TICK and self._front_door.http.connections.evict():
            given += 1
        return given

    def _exhausted(self, error: OSError) -> None:
        self._front_door.context.counters.accept_errors += 1
        now = self._loop.time()
        if self._logged_at is None or now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.error("accepting paused", error=error.strerror, sockets=self._front_door.sockets)
        self._yield_places()
        self._wait()


def _accept(listening: socket.socket) -> tuple[AcceptedSocket, str]:
    """Return the next client's socket and its address. The event loop that adopts it will make it not block."""
    descriptor, address = cast(Any, listening)._accept()  # what `accept` does first
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    return AcceptedSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, descriptor), str(address[0])


def _bind(shared: bool, family: int, address: str, port: int) -> socket.socket:
    # With the protocol named: else asyncio leaves Nagle's algorithm on for the sockets that it accepts.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Else `::` would take the port of `0.0.0.0` too, and listening on both would fail.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"can't listen on {address} port {port}: {error.strerror}") from error
    return listening
