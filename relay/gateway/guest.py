"""A client at the door: its request is in order, and its channel is not yet acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.clients.client import Member
from relay.node import Interest


@dataclass(frozen=True, slots=True)
class Guest:
    """What the handshake needs to know to let a client in, whatever it speaks.

    Args:
        channel: what it wants to listen to.
        remote: its address, for logs.
        response: what is written first when it is let in.
        headers: what its refusal needs beside the reason.
        join: makes of a claim on the channel what takes over the socket.
    """

    channel: str
    remote: str
    response: bytes
    headers: Mapping[str, str]
    join: Callable[[Interest], Member]
