"""The wait of a poll or a post for its admission, which ends when its client has gone."""

from __future__ import annotations

import asyncio

from aiohttp import web

from relay.web.http_transport import HttpTransport


class AdmissionWait:
    """A context manager: cancels the task of a request when its connection is lost meanwhile.

    aiohttp lets the task go on. Then clients that come and go would leave more tasks behind than there can be sockets,
    each until the authenticator or the bus has answered. Only the admission is cancelled: a message that the bus has
    is counted, although its client has gone.

    Args:
        request: its task is the one that runs now.
    """

    __slots__ = ("_cancelling", "_transport")

    def __init__(self, request: web.Request) -> None:
        transport = request.transport
        self._transport = transport if isinstance(transport, HttpTransport) and transport.owner is not None else None
        self._cancelling: asyncio.Handle | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._transport is not None:
            self._transport.admission = task
        else:
            # The client has gone already. An admission that has nothing to wait for is over before the next turn.
            self._cancelling = asyncio.get_running_loop().call_soon(task.cancel)

    def __exit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.admission = None
        if self._cancelling is not None:
            self._cancelling.cancel()
