"""A WebSocket with any number of channels: what they bring in one tick goes out in one write."""

from __future__ import annotations

from relay.clients.context import Context
from relay.clients.session import Session
from relay.clients.websocket import WebSocket


class MultiplexedWebSocket(WebSocket):
    """A client of several channels.

    Each channel delivers for itself. Ten busy ones would be ten system calls a tick, and these are most of what a
    delivery costs. So chunks are gathered, as references to the bytes that all clients of a channel share, until the
    hub has delivered them all. Clients of one channel have nothing to do with that.
    """

    __slots__ = ("_gathered", "_gathered_count")

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._gathered: list[bytes] = []
        # Messages in these.
        self._gathered_count = 0

    def deliver(self, data: bytes, count: int) -> None:
        """Keep messages for the end of the tick; see `Subscriber`."""
        if not self._gathered:
            self._context.node.hub.gather(self)
        self._gathered.append(data)
        self._gathered_count += count

    def write_gathered(self) -> None:
        """Write what the tick has brought; see `Gatherer`."""
        if self._gathered:
            count = self._gathered_count
            super().deliver(self._take_gathered(), count)

    def _take_gathered(self) -> bytes:
        gathered, self._gathered, self._gathered_count = self._gathered, [], 0
        return b"".join(gathered)

    def _release_held(self) -> None:
        """Write everything that waits, so that a close frame comes behind it."""
        gathered = self._take_gathered()
        super()._release_held()
        if gathered:
            self._write(gathered)

    def _drop_held(self) -> None:
        """Forget everything that waits, so that a close frame comes at once."""
        self._take_gathered()
        super()._drop_held()
