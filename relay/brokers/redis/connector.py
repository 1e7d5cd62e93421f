"""Opening a link: look-up, TCP, TLS and log-in, at all addresses of a name."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import hiredis

from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, LinkOwner
from relay.brokers.redis.login import Login
from relay.errors import RelayError
from relay.system_error import in_words

STAGGER_SECONDS = 0.25
"""How long an attempt may run before the next address is tried as well; recommended by RFC 8305, section 8."""

MAX_ADDRESSES = 16
"""How many addresses of a name are tried: a name must not make us open any number of connections."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one address could not be used.

    Args:
        step: the step that failed, and where: `TLS with 10.0.0.1:6379`.
        reason: why it failed.
        refused: whether Redis itself has answered, with an error.
    """

    step: str
    reason: str
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.step}: {self.reason}"


class ConnectError(RelayError, ConnectionError):
    """No address of a name could be used.

    Args:
        faults: why each address failed, in that order.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(dict.fromkeys(map(str, faults))))
        self.faults = faults

    @property
    def refused(self) -> bool:
        """Whether a Redis has answered, with an error."""
        return any(fault.refused for fault in self.faults)


class _Place(NamedTuple):
    """One address of a name; `sockaddr` is a path for a Unix socket."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str):
            return self.sockaddr
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def open_link(address: Address, owner: LinkOwner, name: str, limit: float) -> Link:
    """Connect to Redis and log in.

    The addresses of a name take part in a race: the next one starts when the last one has failed, or takes longer than
    a quarter of a second. The first one that is logged in to a primary wins. Connecting alone would not do: a machine
    may accept connections and then stay silent, and a replica takes messages that never reach the primary.

    Args:
        address: of the Redis, with the user.
        owner: gets the replies after the log-in.
        name: shown in Redis' `CLIENT LIST`.
        limit: seconds for the look-up, and again for all other steps.

    Raises:
        ConnectError: no address could be used; its text names each step that failed.
    """
    link = await _race(await _look_up(address, limit), address, name, limit)
    link.owner, link.allowance = owner, None
    return link


async def _look_up(address: Address, limit: float) -> list[_Place]:
    """Return the addresses of a name, the best first."""
    if address.path is not None:
        return [_Place(socket.AF_UNIX, address.path)]
    step = f"look-up of {address.host}"
    try:
        async with asyncio.timeout(limit):
            found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ConnectError(Fault(step, f"no answer within {limit:g} s")) from None
    except (OSError, UnicodeError) as error:
        raise ConnectError(Fault(step, in_words(error))) from error
    if not found:
        raise ConnectError(Fault(step, "it has no address"))
    return list(dict.fromkeys(_Place(family, sockaddr) for family, _, _, _, sockaddr in found))[:MAX_ADDRESSES]


async def _race(places: list[_Place], address: Address, name: str, limit: float) -> Link:
    """Return a link to the first place where the log-in succeeds."""
    deadline = time.monotonic() + limit
    # However many there are, the last one has half of the time.
    stagger = min(STAGGER_SECONDS, limit / (2 * len(places)))
    waiting = deque(places)
    tasks: list[asyncio.Task[Link]] = []
    running: set[asyncio.Task[Link]] = set()
    winner: asyncio.Task[Link] | None = None
    faults: list[Fault] = []
    try:
        while waiting or running:
            if waiting:
                attempt = _Attempt(waiting.popleft(), address, name, deadline, limit)
                tasks.append(asyncio.create_task(attempt.run(), name=f"relay bus {attempt}"))
                running.add(tasks[-1])
            done, running = await asyncio.wait(
                running, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            faults += [fault for task in done if (fault := _fault_of(task)) is not None]
            winner = next((task for task in done if task.exception() is None), None)
            if winner is not None:
                return winner.result()
        raise ConnectError(*faults)
    finally:
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            winner = None
            raise
        finally:
            for task in tasks:
                if task is not winner and task.done() and not task.cancelled() and task.exception() is None:
                    task.result().abort("another address was faster")


def _fault_of(task: asyncio.Task[Link]) -> Fault | None:
    error = task.exception()
    if error is not None and not isinstance(error, ConnectError):
        raise error  # a fault of ours
    return None if error is None else error.faults[0]


class _Attempt:
    """The attempt to connect to one address, step by step."""

    def __init__(self, place: _Place, address: Address, name: str, deadline: float, limit: float) -> None:
        self._place = place
        self._address = address
        self._name = name
        self._deadline = deadline
        self._limit = limit
        self._step = f"connecting to {place}"

    def __str__(self) -> str:
        return self._step

    async def run(self) -> Link:
        """Connect and log in.

        Raises:
            ConnectError: it has one fault.
        """
        link = Link()
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                await self._connect(link)
                self._step = f"log-in at {self._place}"
                link.server = await Login(link, self._address, self._name).run()
                link.place = str(self._place)
            if link.server.is_replica:
                raise ConnectError(Fault(self._step, "it is a replica; the bus needs the primary", refused=True))
        except ConnectError:
            link.abort("a replica")
            raise
        except TimeoutError:
            link.abort("not logged in")
            raise ConnectError(Fault(self._step, f"no answer within {self._limit:g} s")) from None
        except (OSError, hiredis.ReplyError) as error:
            link.abort("not logged in")
            raise ConnectError(Fault(self._step, in_words(error), isinstance(error, hiredis.ReplyError))) from error
        except BaseException:
            link.abort("not logged in")
            raise
        return link

    async def _connect(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        family, sockaddr = self._place
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            if family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, sockaddr)
        except BaseException:
            connection.close()
            raise
        # From here on the transport owns the socket.
        tls = self._address.tls
        if family == socket.AF_UNIX:
            await loop.create_unix_connection(lambda: link, sock=connection)
        elif tls is None:
            await loop.create_connection(lambda: link, sock=connection)
        else:
            self._step = f"TLS with {self._place}"
            await loop.create_connection(lambda: link, sock=connection, ssl=tls, server_hostname=self._address.host)
