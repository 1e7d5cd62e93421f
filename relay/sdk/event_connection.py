"""One stream of events of a channel, from its first bytes to its end."""

from __future__ import annotations

from aiohttp import ClientError, ClientResponse

from relay.errors import RelayError
from relay.sdk.event_reader import Event, EventReader


class StreamBroken(RelayError):
    """A stream has ended without a word."""


class EventConnection:
    """A stream that a gateway has opened.

    Nothing is read ahead of `read` but what fits into the buffer of its connection. So a subscriber that is slow slows
    down the gateway, which then treats it as a slow consumer.

    Args:
        response: of the gateway.
        token: with which it was asked for.
        max_message_bytes: see `EventReader`.

    Attributes:
        first: events that came with its begin.
    """

    def __init__(self, response: ClientResponse, token: str | None, max_message_bytes: int | None) -> None:
        self._response = response
        self._reader = EventReader(max_message_bytes)
        self.token = token
        self.first: list[Event] = []

    async def begin(self) -> None:
        """Read until the stream has begun: from now on no message is missed; `first` are the events that have come.

        Raises:
            StreamBroken: it has ended before.
            MessageTooBig: a message is too large.
        """
        while not self._reader.begun:
            self.first += await self.read()

    async def read(self) -> list[Event]:
        """Wait for data, and return the events that are complete with it. When this is cancelled nothing is lost.

        Raises:
            StreamBroken: the stream has ended.
            MessageTooBig: a message is too large.
        """
        if self._reader.too_big is not None:
            raise self._reader.too_big
        try:
            piece = await self._response.content.readany()
        except TimeoutError:
            raise StreamBroken("it was silent for too long") from None
        except (ClientError, OSError) as error:
            raise StreamBroken("the connection broke") from error
        if not piece:
            raise StreamBroken("the connection ended")
        return self._reader.feed(piece)

    def close(self) -> None:
        """End it at once."""
        self._response.close()
