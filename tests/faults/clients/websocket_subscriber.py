"""A plain WebSocket: it has no position, and hears live messages only."""

from __future__ import annotations

from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.faults.clients.small_socket import reach
from tests.faults.clients.subscriber import ANSWER_SECONDS, Subscriber
from tests.faults.stack.place import Place

QUEUE: Final = 16
"""Messages that the client takes from its socket before it reads them."""

QUEUE_LOW: Final = 4


class WebSocketSubscriber(Subscriber):
    """Listens with a WebSocket."""

    kind = "websocket"

    async def _listen(self, place: Place) -> None:
        async with connect(
            place.address(self._path("/ws")),
            sock=await reach(place.door.port, ANSWER_SECONDS),
            compression=None,
            proxy=None,
            ping_interval=ANSWER_SECONDS,
            ping_timeout=ANSWER_SECONDS,
            open_timeout=ANSWER_SECONDS,
            close_timeout=0.5,
            max_size=None,
            max_queue=(QUEUE, QUEUE_LOW),
        ) as connection:
            self._begin(place)
            try:
                while True:
                    self._receive(await connection.recv())
                    if not self.reading.is_set():
                        await self.reading.wait()
            except ConnectionClosed as closed:
                self._end(None if closed.rcvd is None else closed.rcvd.code)
