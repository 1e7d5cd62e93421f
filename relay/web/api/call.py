"""What the methods of the server API have in common."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from relay.auth.authenticator import Identity
from relay.brokers import Published
from relay.brokers.history import HistoryStore
from relay.channel import check_channel
from relay.control import Control
from relay.errors import ChannelError, PublishError
from relay.limits.channels import ChannelLimits
from relay.namespaces import Namespaces
from relay.presence.present_members import PresentMembers
from relay.web.api.error import ApiError, Code, bad_request, from_publish_error
from relay.web.api.parameters import Parameters
from relay.web.api.results import EmptyResult, Result
from relay.web.publish_window import PublishWindow

_T = TypeVar("_T")

Finish = Callable[[], Awaitable[Result]]
"""The second half of a method; it raises `ApiError`."""


ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Payloads of histories, and members of channels, in the answer to one request: it is made in one piece, while other
clients wait."""


class AnswerRoom:
    """How much the answer to one request may still hold, all commands of a batch together."""

    def __init__(self) -> None:
        self._left = ANSWER_BYTES

    def take(self, size: int) -> bool:
        """Return whether something of so many bytes fits; anything does that is the first."""
        if size > self._left and self._left < ANSWER_BYTES:
            return False
        self._left -= size
        return True


@dataclass(frozen=True, slots=True)
class Call:
    """What the methods work with: one for each HTTP request.

    Args:
        identity: of the back end, with its rights.
        control: reaches all gateways.
        window: publishes the messages of the request.
        max_message_bytes: largest payload of a message.
        limits: what a channel's namespace allows besides.
        namespaces: which channels have positions, histories and presence.
        history: the histories of the bus.
        presence: who is on the channels of the bus.
        room: for histories and members in the answer.
    """

    identity: Identity
    control: Control
    window: PublishWindow
    max_message_bytes: int
    limits: ChannelLimits
    namespaces: Namespaces
    history: HistoryStore
    presence: PresentMembers
    room: AnswerRoom


class Method(NamedTuple):
    """A method of the API.

    Args:
        parameters: type of its parameters.
        result: type of its result.
        start: its first half, which returns the second. It raises `ApiError`.
    """

    parameters: type[Parameters]
    result: type[Result]
    start: Callable[[Call, Any], Awaitable[Finish]]


def legal_channel(field: str, name: str) -> str:
    """Return a legal channel name.

    Args:
        field: that the name stands in, for the error.
        name: that the back end has sent.

    Raises:
        ApiError: it is not legal.
    """
    try:
        return check_channel(name)
    except ChannelError as error:
        raise bad_request(f"{field}: {error.rule}") from None


def decode_base64(field: str, encoded: str) -> bytes:
    """Return the bytes that stand in a field in base64; raises `ApiError`."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"{field}: must be base64, with its padding") from None


async def in_time(call: Call, work: Awaitable[_T], late: str) -> _T:
    """Return what comes of work that is done before the request's time is over.

    Raises:
        ApiError: it is not, with the sentence `late`.
    """
    try:
        async with asyncio.timeout(call.window.seconds_left):
            return await work
    except TimeoutError:
        raise ApiError(Code.INTERNAL, late) from None


async def acknowledged(call: Call, future: asyncio.Future[Published]) -> EmptyResult:
    """Return the result of a command once the bus has it; raises `ApiError`."""
    try:
        await call.window.acknowledged(future)
    except PublishError as error:
        raise from_publish_error(error) from None
    return EmptyResult()
