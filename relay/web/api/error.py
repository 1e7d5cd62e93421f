"""Errors of the server API; codes and texts are Centrifugo's where it has them."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from relay.errors import DeliveryUnknown, NotAllowed, PublishBufferFull, PublishError, PublishRefused, RelayError


class Code(enum.IntEnum):
    """Code of an error; 0, in counters only, stands for success."""

    OK = 0
    INTERNAL = 100
    UNAUTHORIZED = 101
    PERMISSION_DENIED = 103
    METHOD_NOT_FOUND = 104
    LIMIT_EXCEEDED = 106
    BAD_REQUEST = 107
    NOT_AVAILABLE = 108
    TOO_MANY_REQUESTS = 111
    UNRECOVERABLE_POSITION = 112
    # The relay's own, from the range that Centrifugo leaves to applications.
    DELIVERY_UNKNOWN = 1000


class ApiError(RelayError):
    """A command that failed; the back end gets code and message.

    Args:
        code: error code.
        message: a sentence.
        status: HTTP status; as in Centrifugo, 200 for every request that could be read.
        headers: further headers of the response.
    """

    def __init__(self, code: Code, message: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message, status)
        self.headers = headers or {}
        self.code = code
        self.message = message
        self.status = status


def bad_request(message: str) -> ApiError:
    """Return the error for wrong parameters.

    Args:
        message: names the field.
    """
    return ApiError(Code.BAD_REQUEST, f"bad request: {message}")


def permission_denied(error: NotAllowed) -> ApiError:
    """Return the error for a command that the back end has no right to."""
    return ApiError(Code.PERMISSION_DENIED, f"permission denied: {error}")


def from_publish_error(error: PublishError) -> ApiError:
    """Return the error for a message that was not published, or perhaps not: its code tells whether a retry is safe."""
    reason = str(error.disconnect.reason)
    match error:
        case DeliveryUnknown():
            return ApiError(Code.DELIVERY_UNKNOWN, f"{reason}: it may or may not have been published")
        case PublishRefused():
            return ApiError(Code.PERMISSION_DENIED, f"{reason}: {error.detail}")
        case PublishBufferFull():
            return ApiError(Code.TOO_MANY_REQUESTS, f"{reason}: it was not published")
        case _:
            return ApiError(Code.INTERNAL, f"{reason}: it was not published")
