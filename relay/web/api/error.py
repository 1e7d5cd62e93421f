"""What the API answers when it can't do what was asked; codes and words are Centrifugo's where it has them."""

from __future__ import annotations

import enum

from relay.errors import DeliveryUnknown, PublishBufferFull, PublishError, PublishRefused


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
    # The relay's own, from the range that Centrifugo leaves to applications.
    DELIVERY_UNKNOWN = 1000


class ApiError(Exception):
    """An error that is told to the back end.

    Args:
        code: kind of error.
        message: a sentence.
        status: of HTTP; Centrifugo answers 200 to all that it could read.
    """

    def __init__(self, code: Code, message: str, status: int = 200) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status


def bad_request(message: str) -> ApiError:
    """Return the error for parameters that are wrong; the message names the field."""
    return ApiError(Code.BAD_REQUEST, f"bad request: {message}")


def from_publish_error(error: PublishError) -> ApiError:
    """Return what a back end is told about a message that didn't get through, so that it can decide on a retry."""
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
