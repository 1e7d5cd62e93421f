"""The adoption of accepted sockets by the event loop, whose transports read and write them from then on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, cast

from relay.clients.eager_task import go_on_as_task
from relay.logs import Logger

log = Logger("relay.gateway")


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

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, accepted: socket.SocketType
    ) -> None:
        given = cast(socket.socket, accepted)  # event loops use nothing of it that this one doesn't have
        self._coroutine = cast(Coroutine[Any, Any, Any], loop.connect_accepted_socket(lambda: protocol, given))
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
