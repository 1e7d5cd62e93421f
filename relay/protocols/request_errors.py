"""Why a client of several channels doesn't get what it asks for, beside the errors that all clients have."""

from __future__ import annotations

from typing import Literal

from relay.errors import RelayError, SubscriptionError

TokenCause = Literal["expired", "invalid", "mismatch"]


class AlreadySubscribed(SubscriptionError):
    """The client is subscribed to the channel, or about to be."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel, "the client is subscribed already")


class TooManySubscriptions(SubscriptionError):
    """The client has too many subscriptions for one more."""


class TooManyRequests(SubscriptionError):
    """The client subscribes too often; later it may."""


class NotAvailable(RelayError):
    """The relay doesn't do here what a client asks for: a channel keeps no history, or there is no back end to ask.

    Args:
        what: that is not there.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"not available: {self.what}"


class TokenRefused(RelayError):
    """A token that a client has sent for a channel is not in order.

    Args:
        cause: `expired`: its time is over, or has not begun, and the client should come with another; `invalid`; or
            `mismatch`: it is for another channel, or of another user.
        reason: a sentence, which never repeats the token.
        fault: of an invalid one, one of `relay.auth.credential.Cause`; empty: none of them.
    """

    def __init__(self, cause: TokenCause, reason: str, fault: str = "") -> None:
        super().__init__(cause, reason, fault)
        self.cause = cause
        self.reason = reason
        self.fault = fault

    def __str__(self) -> str:
        return self.reason
