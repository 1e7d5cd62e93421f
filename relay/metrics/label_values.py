"""The values of labels that are shown before they were counted.

`increase()` does not see the first event of a series that begins with it.
"""

from __future__ import annotations

from relay.errors import Disconnect, PublishError, Unavailable
from relay.tls.failure import Failure

DISCONNECTS = (
    *(disconnect.name for disconnect in Disconnect),
    "PROTOCOL_ERROR",
    "WRITE_TIMEOUT",
)
DROPS = ("skipped", "closed")
FAILURES = tuple(error.disconnect.name for error in PublishError.__subclasses__())
REFUSALS = (
    *(reason.cause for reason in Unavailable),
    "no_credential",
    "too_long",
    "malformed",
    "wrong_key",
    "unknown_key",
    "wrong_algorithm",
    "wrong_signature",
    "expired",
    "not_yet_valid",
    "no_expiry",
    "wrong_issuer",
    "wrong_audience",
    "refused",
    "connections_per_address",
    "connections_per_user",
    "new_connections",
    "new_connections_per_address",
    "failed_authentications",
    "bad_request",
    "blocked",
    "unauthorized",
    "forbidden",
    "not_found",
    "misdirected_request",
    "request_timeout",
    "internal_server_error",
    "plain_http",
    "tls",
)
TLS = tuple(failure.value for failure in Failure)
RELOADS = ("reloaded", "failed")
CALLS = ("timeout", "unreachable", "redirect", "status", "too_large", "malformed")
AUTH_REQUESTS = ("allowed", "refused", "cached", "down", "busy", *CALLS)
RPC_CALLS = ("answered", "error", "disconnect", "down", "busy", "left", *CALLS)
UNWRITTEN = ("rate_limit", "unwritable")
READS = ("read", "failed")
RECOVERIES = ("recovered", "missed")
PRESENCE = ("updated", "refreshed", "failed")
REQUESTS = ("publish 0", "broadcast 0", "http_publish 200")
LIMITS = (
    "messages",
    "bytes",
    "publishes",
    "posted_bytes",
    "forwarded_bytes",
    "connections_per_address",
    "connections_per_user",
    "new_connections",
    "new_connections_per_address",
    "channels",
    "calls",
    "failed_authentications",
    "addresses",
)
TRANSPORTS = (
    "websocket",
    "event_stream",
    "poll",
    "sse",
    "http_stream",
    "uni_websocket",
    "uni_sse",
    "uni_http_stream",
)
SHARES = ("clients", "posts", "back_ends")
CODES = (1000, 1001, 1005, 1006, 1011, 1012, 1013)
