"""What a client raises, besides `relay.errors.PublishError` and those below it."""

from __future__ import annotations

from relay.errors import RelayError


class ClientRefused(RelayError):
    """A gateway refuses what a client asks for. A subscription raises it only when trying again won't help.

    Args:
        gateway: its address.
        status: HTTP status of its answer; from 1000 on: the close code with which it has ended the stream.
        reason: its own words.
    """

    def __init__(self, gateway: str, status: int, reason: str) -> None:
        super().__init__(gateway, status, reason)
        self.gateway = gateway
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        said = "answered HTTP" if self.status < 1000 else "closed with"
        return f"{self.gateway} {said} {self.status}: {self.reason}"


class MessagesMissed(RelayError):
    """Messages of a channel may be missing here. What was read before is whole, and so is what comes next.

    Args:
        channel: name of the channel.
        position: after which the channel goes on; None: it counts no messages.
    """

    def __init__(self, channel: str, position: str | None) -> None:
        super().__init__(channel, position)
        self.channel = channel
        self.position = position

    def __str__(self) -> str:
        return f"messages of {self.channel!r} may be missing; to go on there, subscribe with missed=FUNCTION"


class MessageTooBig(RelayError):
    """A message is larger than a client wants to hold.

    Args:
        limit_bytes: that it breaks.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"a message has more than max_message_bytes={self.limit_bytes}"
