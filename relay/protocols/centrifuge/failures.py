"""Which error of the protocol a failure of the relay is, and which close code a reason to close is."""

from __future__ import annotations

from typing import Final

from relay.errors import ChannelError, CustomDisconnect, Disconnect, NotAllowed, Refused, RelayError
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.results import Error
from relay.protocols.request_errors import (
    AlreadySubscribed,
    NotAvailable,
    TokenRefused,
    TooManyRequests,
    TooManySubscriptions,
)

_ERRORS: Final[dict[type[RelayError], Error]] = {
    AlreadySubscribed: codes.ERROR_ALREADY_SUBSCRIBED,
    TooManySubscriptions: codes.ERROR_LIMIT_EXCEEDED,
    TooManyRequests: codes.ERROR_TOO_MANY_REQUESTS,
    ChannelError: codes.ERROR_BAD_REQUEST,
    NotAllowed: codes.ERROR_PERMISSION_DENIED,
    NotAvailable: codes.ERROR_NOT_AVAILABLE,
}

_TOKENS: Final = {"expired": codes.ERROR_TOKEN_EXPIRED, "invalid": codes.ERROR_PERMISSION_DENIED}

_CLOSES: Final = {
    Disconnect.GOING_AWAY: codes.DISCONNECT_SHUTDOWN,
    Disconnect.INVALID_TEXT: codes.DISCONNECT_BAD_REQUEST,
    Disconnect.TOO_MANY_FRAGMENTS: codes.DISCONNECT_BAD_REQUEST,
    Disconnect.MESSAGE_TOO_BIG: codes.DISCONNECT_BAD_REQUEST,
    Disconnect.UNEXPECTED_DATA: codes.DISCONNECT_BAD_REQUEST,
    Disconnect.FRAME_RATE: codes.DISCONNECT_TOO_MANY_REQUESTS,
    Disconnect.MESSAGE_RATE: codes.DISCONNECT_TOO_MANY_REQUESTS,
    Disconnect.BYTE_RATE: codes.DISCONNECT_TOO_MANY_REQUESTS,
    Disconnect.CONNECT_TIMEOUT: codes.DISCONNECT_STALE,
    Disconnect.INVALID_TOKEN: codes.DISCONNECT_INVALID_TOKEN,
    Disconnect.NOT_ALLOWED: codes.DISCONNECT_PERMISSION_DENIED,
    Disconnect.NOT_AVAILABLE: codes.DISCONNECT_NOT_AVAILABLE,
    Disconnect.TOKEN_EXPIRED: codes.DISCONNECT_EXPIRED,
    Disconnect.SUBSCRIPTION_EXPIRED: codes.DISCONNECT_SUBSCRIPTION_EXPIRED,
    Disconnect.USER_BLOCKED: codes.DISCONNECT_FORCE_NO_RECONNECT,
    Disconnect.TOO_MANY_CHANNELS: codes.DISCONNECT_CHANNEL_LIMIT,
    Disconnect.TOO_MANY_CONNECTIONS: codes.DISCONNECT_CONNECTION_LIMIT,
    Disconnect.KEEPALIVE_TIMEOUT: codes.DISCONNECT_NO_PONG,
    Disconnect.MESSAGE_TIMEOUT: codes.DISCONNECT_NO_PONG,  # a bad line, too: 3502 would keep its client away
    Disconnect.MISSED: codes.DISCONNECT_INSUFFICIENT_STATE,
    Disconnect.SLOW_CONSUMER: codes.DISCONNECT_SLOW,
    Disconnect.FORCE_DISCONNECT: codes.DISCONNECT_FORCE_NO_RECONNECT,
    Disconnect.TOO_MANY_REQUESTS: codes.DISCONNECT_TOO_MANY_REQUESTS,
}
"""The others are faults of the bus or of the relay: the client should come again."""

_RENEWABLE: Final = frozenset({"expired", "not_yet_valid"})
"""Why a token is not accepted, where the client gets another one. As in Centrifugo, also where it is too early."""

_NO_CREDENTIAL: Final = "no_credential"
"""Cause of a refusal where the client has sent no token, and must have one; see `relay.auth.credential`."""

_USER_HAS_TOO_MANY: Final = "connections_per_user"
"""Cause of a refusal with 429 that time doesn't mend; see `relay.limits.limit`. Others come of what all clients do at
an address, or at the back end: this one may come later."""

_REFUSALS: Final = {
    400: Disconnect.UNEXPECTED_DATA,
    401: Disconnect.INVALID_TOKEN,
    403: Disconnect.NOT_ALLOWED,
    429: Disconnect.TOO_MANY_REQUESTS,
}


def error_of(failure: RelayError) -> Error:
    """Return the error with which a command is answered that has failed."""
    if isinstance(failure, TokenRefused):
        return _TOKENS.get(failure.cause, codes.ERROR_PERMISSION_DENIED)
    return _ERRORS.get(type(failure), codes.ERROR_INTERNAL)


def disconnect_of(failure: RelayError) -> Disconnect:
    """Return why a client is closed that is not let in."""
    if isinstance(failure, TooManySubscriptions):
        return Disconnect.TOO_MANY_CHANNELS
    if isinstance(failure, TooManyRequests):
        return Disconnect.TOO_MANY_REQUESTS
    if not isinstance(failure, Refused):
        return Disconnect.UNAVAILABLE
    if failure.cause == _NO_CREDENTIAL:
        return Disconnect.UNEXPECTED_DATA
    if failure.cause == _USER_HAS_TOO_MANY:
        return Disconnect.TOO_MANY_CONNECTIONS
    return _REFUSALS.get(failure.status, Disconnect.UNAVAILABLE)


def is_renewable(failure: RelayError) -> bool:
    """Return whether a client isn't let in because of a time that its token names: it gets another one."""
    return isinstance(failure, Refused) and failure.cause in _RENEWABLE


def close_of(why: Disconnect | CustomDisconnect) -> Close:
    """Return how a client is told why it is closed."""
    if isinstance(why, CustomDisconnect):
        return Close(why.code, why.reason)
    return _CLOSES.get(why, codes.DISCONNECT_SERVER_ERROR)
