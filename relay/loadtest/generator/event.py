"""What happens on a stream besides messages."""

from __future__ import annotations

from typing import NamedTuple

from relay.loadtest.result.faults import Fault


class Ping(NamedTuple):
    """A ping that wants an answer."""

    payload: bytes


class Close(NamedTuple):
    """A close frame: code (1005: none was given) and reason."""

    code: int
    reason: str


class Answer(NamedTuple):
    """A frame that has to be answered by the dialect's answer of this number."""

    number: int


class Ready(NamedTuple):
    """The frame that says that the client is subscribed."""


class Strange(NamedTuple):
    """A frame or message that should not be there."""

    fault: Fault
    text: str


class Broken(NamedTuple):
    """The stream can't be read any further, and why."""

    reason: str


Event = Ping | Close | Answer | Ready | Strange | Broken
