"""How the servers are set up: for Centrifugo and for the relay what means the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

SECRET: Final = "the-secret-of-the-oracle-has-enough-bytes"
API_KEY: Final = "the-api-key-of-the-oracle"

CHANNELS_OF_A_CLIENT: Final = 6

_SUBSCRIBE = {"allow_subscribe_for_client": True}
_PUBLISH = {"allow_publish_for_client": True}
_HISTORY = {"history_size": 10, "history_ttl": "300s", "allow_history_for_client": True}
_PRESENCE = {"presence": True, "allow_presence_for_client": True}
_RECOVERY = {"force_recovery": True, "force_positioning": True}

CENTRIFUGO_NAMESPACES: Final[dict[str, dict[str, Any]]] = {
    "open": _SUBSCRIBE | _PUBLISH | _PRESENCE,
    "told": _SUBSCRIBE | _PUBLISH | _PRESENCE | {"join_leave": True, "force_push_join_leave": True},
    "asked": _SUBSCRIBE | _PRESENCE | {"join_leave": True},
    "kept": _SUBSCRIBE | _PUBLISH | _HISTORY | _RECOVERY,
    "optional": _SUBSCRIBE | _PUBLISH | _HISTORY | {"allow_recovery": True, "allow_positioning": True},
    "short": _SUBSCRIBE | _PUBLISH | _HISTORY | _RECOVERY | {"history_size": 3},
    "cache": _SUBSCRIBE | _PUBLISH | _HISTORY | _RECOVERY | {"force_recovery_mode": "cache"},
    "delta": _SUBSCRIBE | _PUBLISH | _HISTORY | _RECOVERY | {"allowed_delta_types": ["fossil"], "delta_publish": True},
    "listen": _SUBSCRIBE,
    "all": {
        **_SUBSCRIBE,
        **_PUBLISH,
        **_HISTORY,
        **_PRESENCE,
        **_RECOVERY,
        **{"history_size": 300, "join_leave": True, "force_push_join_leave": True},
    },
    "closed": {},
    "own": {},
    "users": {"allow_user_limited_channels": True},
    "subscribers": _SUBSCRIBE
    | _RECOVERY
    | {
        **{"history_size": 10, "history_ttl": "300s", "presence": True},
        **{f"allow_{verb}_for_subscriber": True for verb in ("publish", "history", "presence")},
    },
}

_RELAY_HISTORY = {"history_size": 10, "history_ttl": 300}

RELAY_NAMESPACES: Final[dict[str, dict[str, Any]]] = {
    "open": {"rights": "rwp", "presence": True},
    "told": {"rights": "rwp", "presence": True, "join_leave": True, "force_push_join_leave": True},
    "asked": {"rights": "rp", "presence": True, "join_leave": True},
    "kept": {"rights": "rwh", **_RELAY_HISTORY},
    "optional": {"rights": "rwh", **_RELAY_HISTORY},
    "short": {"rights": "rwh", **_RELAY_HISTORY, "history_size": 3},
    "cache": {"rights": "rwh", **_RELAY_HISTORY, "cache": True},
    "delta": {"rights": "rwh", **_RELAY_HISTORY, "delta": True},
    "listen": {"rights": "r"},
    "all": {
        **{"rights": "rwph", **_RELAY_HISTORY, "history_size": 300},
        **{"presence": True, "join_leave": True, "force_push_join_leave": True},
    },
    "closed": {"rights": ""},
    "own": {"rights": ""},
    "users": {},
    "subscribers": {"rights": "r", "subscriber_rights": "wph", **_RELAY_HISTORY, "presence": True},
}


@dataclass(frozen=True)
class Setup:
    """One way to set up a server.

    Args:
        centrifugo: sections of its configuration.
        relay: `RELAY_*` variables, as `GatewayProcess` takes them.
    """

    centrifugo: dict[str, Any]
    relay: dict[str, str | int | float]


def _setup(client: dict[str, Any], relay: dict[str, str | int | float], plain: dict[str, Any] | None = None) -> Setup:
    namespaces = [{"name": name, **options} for name, options in CENTRIFUGO_NAMESPACES.items()]
    centrifugo = {
        "client": {
            "token": {"hmac_secret_key": SECRET},
            "channel_limit": CHANNELS_OF_A_CLIENT,
            "allowed_origins": ["*"],
            **client,
        },
        "channel": {"namespaces": namespaces, "without_namespace": plain or _SUBSCRIBE | _PUBLISH},
        "http_api": {"key": API_KEY},
        "http_server": {"address": "127.0.0.1"},
        "log": {"level": "info"},
        "usage_stats": {"disabled": True},
    }
    given: dict[str, str | int | float] = {
        "auth": "jwt",
        "jwt_secret": SECRET,
        "jwt_expiry": "optional",
        "jwt_leeway": 0,
        "rights": "plain*=rw,users:dm#{sub}=r",
        "api_keys": API_KEY,
        "allowed_origins": "*",
        "namespaces": json.dumps(RELAY_NAMESPACES),
        "max_channels_per_connection": CHANNELS_OF_A_CLIENT,
    }
    return Setup(centrifugo, given | relay)


_HASTY: Final[dict[str, Any]] = {
    **{"stale_close_delay": "1s", "expired_close_delay": "1s", "expired_sub_close_delay": "1s"},
    **{"presence_update_interval": "1s", "user_connection_limit": 3},
}

SETUPS: Final[dict[str, Setup]] = {
    "tokens": _setup({}, {"ping_interval": 25}),
    "anonymous": _setup(
        {"allow_anonymous_connect_without_token": True, "token": {}},
        {"auth": "none", "jwt_secret": "", "rights": "plain*=rw", "ping_interval": 25},
        {**_SUBSCRIBE, **_PUBLISH, "allow_subscribe_for_anonymous": True, "allow_publish_for_anonymous": True},
    ),
    "personal": _setup(
        {"subscribe_to_user_personal_channel": {"enabled": True, "personal_channel_namespace": "own"}},
        {"ping_interval": 25, "user_channels": "own:#{sub}"},
    ),
    "hasty": _setup(_HASTY, {"ping_interval": 25, "max_connections_per_user": 3}),
    "pinging": _setup({"ping_interval": "2s", "pong_timeout": "1900ms"}, {"ping_interval": 2, "ping_timeout": 1.9}),
}
"""`tokens`: clients have tokens. `anonymous`: everybody may come. `personal`: each user has
a channel. `hasty`: short times, for what takes time.
`pinging`: pings come soon, and pongs have to."""
