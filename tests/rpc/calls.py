"""Calls of clients, for tests."""

from __future__ import annotations

from typing import Any

from relay.rpc_call import RpcCall

CLIENT = "4b1f" * 8


def call(**given: Any) -> RpcCall:
    """Return a call; what isn't given is that of a client which speaks JSON over a WebSocket."""
    usual: dict[str, Any] = {
        "method": "price",
        "data": b'{"of":"tea"}',
        "binary": False,
        "client": CLIENT,
        "user": "ann",
        "protocol": "json",
        "transport": "websocket",
        "remote": "203.0.113.7",
    }
    return RpcCall(**{**usual, **given})
