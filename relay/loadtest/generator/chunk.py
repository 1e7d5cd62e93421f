"""A decoded chunk of a server's byte stream: its messages, and everything else that happens in it."""

from __future__ import annotations

from typing import NamedTuple

from relay.loadtest.result.faults import Fault


class Ping(NamedTuple):
    """A ping; it must be answered by a pong with the same payload."""

    payload: bytes


class Close(NamedTuple):
    """A close frame: code (1005: the frame has none) and reason."""

    code: int
    reason: str


class AnswerNeeded(NamedTuple):
    """A frame that must be answered by the dialect's answer of this number."""

    number: int


class Ready(NamedTuple):
    """The frame that confirms the client's subscription."""


class FaultyFrame(NamedTuple):
    """A frame or message that should not be there."""

    fault: Fault
    text: str


class ProtocolViolation(NamedTuple):
    """The server broke the protocol: the stream can't be decoded any further."""

    reason: str


Event = Ping | Close | AnswerNeeded | Ready | FaultyFrame | ProtocolViolation


class DecodedChunk:
    """One chunk, which many clients may receive.

    Attributes:
        runs: publisher, first and last sequence number of consecutive messages.
        dues: due time of each message, ns since the run's start.
        lags: lateness at which each message was sent, µs.
        events: everything else, in order.
        rest: the bytes after the last complete frame.
        times: arrival times, ns of the monotonic clock: one for each time that a client received this chunk.
    """

    __slots__ = ("dues", "events", "lags", "rest", "runs", "times")

    def __init__(self) -> None:
        self.runs: list[tuple[int, int, int]] = []
        self.dues: list[int] = []
        self.lags: list[int] = []
        self.events: list[Event] = []
        self.rest = b""
        self.times: list[int] = []


class FrameContent(NamedTuple):
    """The content of one frame: publisher, sequence number, due time and lag of each message, and the events."""

    messages: list[tuple[int, int, int, int]]
    events: list[Event]
