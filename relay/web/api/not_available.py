"""Methods of Centrifugo's server API that a relay doesn't have: they are answered with an error of their own, 108."""

from __future__ import annotations

from typing import Final

NOT_AVAILABLE: Final = (
    # Of a server's own extensions in Go.
    "rpc",
    # Of map subscriptions and shared polls.
    "map_publish",
    "map_remove",
    "map_read_state",
    "map_read_stream",
    "map_stats",
    "map_clear",
    "shared_poll_publish",
    # Of Centrifugo PRO.
    "connections",
    "update_user_status",
    "get_user_status",
    "delete_user_status",
    "revoke_token",
    "invalidate_user_tokens",
    "device_register",
    "device_update",
    "device_remove",
    "device_list",
    "device_topic_list",
    "device_topic_update",
    "user_topic_list",
    "user_topic_update",
    "send_push_notification",
    "update_push_status",
    "cancel_push",
)
