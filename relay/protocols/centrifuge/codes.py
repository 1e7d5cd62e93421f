"""The numbers of the Centrifuge protocol, as Centrifugo 6 sends them: why commands fail, and why things end.

Clients act by the number; the texts are for people. Numbers that this relay never sends are left out.
"""

from __future__ import annotations

from typing import Final

from relay.protocols.centrifuge.pushes import Disconnect, Unsubscribe
from relay.protocols.centrifuge.results import Error

# Why a command failed. At a temporary error, and at 109, for which it gets a new token, a client tries again.

ERROR_INTERNAL: Final = Error(100, "internal server error", temporary=True)
ERROR_PERMISSION_DENIED: Final = Error(103, "permission denied")
ERROR_ALREADY_SUBSCRIBED: Final = Error(105, "already subscribed")
ERROR_LIMIT_EXCEEDED: Final = Error(106, "limit exceeded")
ERROR_BAD_REQUEST: Final = Error(107, "bad request")
ERROR_NOT_AVAILABLE: Final = Error(108, "not available")
ERROR_TOKEN_EXPIRED: Final = Error(109, "token expired")
ERROR_TOO_MANY_REQUESTS: Final = Error(111, "too many requests", temporary=True)
ERROR_UNRECOVERABLE_POSITION: Final = Error(112, "unrecoverable position")

# Why the server ended a subscription. From 2500 on the client subscribes again.

UNSUBSCRIBE_SERVER: Final = Unsubscribe(2000, "server unsubscribe")
UNSUBSCRIBE_INSUFFICIENT_STATE: Final = Unsubscribe(2500, "insufficient state")
UNSUBSCRIBE_EXPIRED: Final = Unsubscribe(2501, "subscription expired")

# Why a client was closed. From 3500 to 3999 and from 4500 to 4999 it does not come back.

DISCONNECT_SHUTDOWN: Final = Disconnect(3001, "shutdown")
DISCONNECT_SERVER_ERROR: Final = Disconnect(3004, "internal server error")
DISCONNECT_EXPIRED: Final = Disconnect(3005, "connection expired")
DISCONNECT_SUBSCRIPTION_EXPIRED: Final = Disconnect(3006, "subscription expired")
DISCONNECT_SLOW: Final = Disconnect(3008, "slow")
DISCONNECT_INSUFFICIENT_STATE: Final = Disconnect(3010, "insufficient state")
DISCONNECT_NO_PONG: Final = Disconnect(3012, "no pong")
DISCONNECT_TOO_MANY_REQUESTS: Final = Disconnect(3013, "too many requests")

DISCONNECT_INVALID_TOKEN: Final = Disconnect(3500, "invalid token")
DISCONNECT_BAD_REQUEST: Final = Disconnect(3501, "bad request")
DISCONNECT_STALE: Final = Disconnect(3502, "stale")
DISCONNECT_FORCE_NO_RECONNECT: Final = Disconnect(3503, "force disconnect")
DISCONNECT_CONNECTION_LIMIT: Final = Disconnect(3504, "connection limit")
DISCONNECT_CHANNEL_LIMIT: Final = Disconnect(3505, "channel limit")
DISCONNECT_PERMISSION_DENIED: Final = Disconnect(3507, "permission denied")
DISCONNECT_NOT_AVAILABLE: Final = Disconnect(3508, "not available")
