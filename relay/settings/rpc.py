"""Settings: the back end of yours that answers RPC calls of clients."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from relay.settings.access_values import HttpUrl
from relay.settings.back_end_values import CookieNames, RpcHeaderNames
from relay.settings.field import setting
from relay.settings.values import Range


class RpcSettings(BaseModel):
    """Where the back end is, what it is told of a client, and how long and how often it is asked."""

    rpc_url: HttpUrl | None = setting(
        None, "RPC", "Where your back end answers RPC calls of Centrifuge clients. Not set: clients can't call."
    )
    rpc_headers: RpcHeaderNames | None = setting(
        None, "RPC", "Headers of the client's first request that your back end gets. Not set: none."
    )
    rpc_cookies: CookieNames | None = setting(
        None, "RPC", "Cookies of the client's first request that your back end gets. Not set: none."
    )
    rpc_timeout: Annotated[float, Range("seconds", 0.05, 60)] = setting(
        5.0, "RPC", "Seconds that a call may wait for its turn, and then for its answer."
    )
    rpc_concurrency: Annotated[int, Range("integer", 1, 10_000)] = setting(
        32, "RPC", "Most calls to your back end at once; ten times as many may wait."
    )
