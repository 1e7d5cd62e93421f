"""The gateways that take in the inputs: settings, and circumstances, that change what becomes of an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fuzz.grammar.credential import CLIENT_KEY, COOKIE, SECRET
from tests.fuzz.grammar.http import API_KEY


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of gateway.

    Args:
        name: for reports.
        settings: besides `SETTINGS`.
        late_bus: whether the bus acknowledges a channel only when its client has sent everything.
        full: whether clients may be refused for want of a place.
        target: of half of its inputs; None: all are mixed.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    late_bus: bool = False
    full: bool = False
    target: str | None = None


SETTINGS: Final[Mapping[str, Any]] = {
    "handshake_timeout": 3,
    "keepalive_timeout": 4,
    "ping_interval": 5,
    "ping_timeout": 3,  # healthy clients answer only once the outcome of an input is known: after 2.5 s
    "write_timeout": 3,
    "api_keys": API_KEY,
    "trusted_proxies": "10.0.0.0/8",
}
"""Deadlines that come soon, and all that can be asked for."""

VARIANTS: Final = (
    Variant("default"),
    Variant(
        "small buffers",
        {"slow_consumer": "drop", "max_message_bytes": 1000, "send_buffer_bytes": 2000, "welcome": "h\u00e9llo\nthere"},
    ),
    Variant(
        "strict",
        {
            "allowed_origins": "https://app.example.com,null",
            "allowed_hosts": "a",
            "subprotocols": "relay,a",
            "max_header_bytes": 1024,
            "max_headers": 10,
        },
    ),
    Variant("late bus", late_bus=True),
    Variant("full", {"max_connections": 12}, full=True),
    Variant(
        "tokens",
        {
            "auth": "jwt",
            "jwt_secret": SECRET.decode(),
            "auth_cookie": COOKIE,
            "allowed_origins": "https://app.example.com",
        },
        target="credential",
    ),
    Variant(
        "keys",
        {"auth": "key", "auth_keys": f"{CLIENT_KEY};user=healthy;*=rw", "auth_cookie": COOKIE},
        target="credential",
    ),
)
