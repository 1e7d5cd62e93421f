"""The adoption of accepted sockets by the event loop, whose transports read and write them from then on."""

from __future__ import annotations

import _socket
import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, cast

from relay.clients.eager_task import go_on_as_task
from relay.logs import Logger

log = Logger("relay.gateway")


class AcceptedSocket(socket.socket):
    """A client's socket.

    It has to be a `socket.socket`. uvloop closes a client's descriptor by its number, and detaches such an object from
    it; any other object it closes, too. By then the number may belong to a new file of another thread.

    Event loops ask for these attributes and compare them with numbers. Those of `socket.socket` make enumerations of
    them: a third of what it takes to adopt a client. So these are the ones below.
    """

    __slots__ = ()

    family = _socket.socket.family  # type: ignore[assignment]  # no `AddressFamily`
    type = _socket.socket.type  # type: ignore[assignment]  # no `SocketKind`
    proto = _socket.socket.proto


class Adoption:
    """The adoption of one socket.

    Event loops have a coroutine for it, which waits for callbacks of the same turn. A task for that would take 4 µs.
    So it is begun here, and `finish` ends it.

    Args:
        loop: the event loop.
        protocol: gets the transport, before `finish` is called.
        accepted: the socket.

    Raises:
        OSError: the client is gone already.
    """

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, accepted: AcceptedSocket) -> None:
        self._coroutine = cast(Coroutine[Any, Any, Any], loop.connect_accepted_socket(lambda: protocol, accepted))
        self._awaited: asyncio.Future[Any] = self._coroutine.send(None)

    def finish(self) -> asyncio.Task[Any] | None:
        """Finish it, behind the callbacks that adopting has scheduled.

        Returns:
            What goes on with it, in an event loop that takes longer; else None.
        """
        if not self._awaited.done():
            return go_on_as_task(self._coroutine, self._awaited)
        try:
            self._coroutine.send(None)
        except StopIteration:
            pass
        except Exception:
            log.exception("a client was not adopted")
        return None
