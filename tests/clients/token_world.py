"""A world that knows subscription tokens."""

from __future__ import annotations

import asyncio

from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.namespaces import ChannelOptions
from relay.protocols.multiplexed import SubscribeOptions
from tests.clients.recorder import OnlyPublic
from tests.clients.session_world import World

ANN = Identity("ann", OnlyPublic())

WITH_TOKEN = SubscribeOptions(token="t")

ROOM = ChannelOptions(presence=True, join_leave=True, history_size=1)


def granting(seconds: float | None = None, *, late: bool = False) -> World:
    """Return a world with the token `t`, which lasts for so many seconds.

    Args:
        seconds: None: without end.
        late: whether it takes a while to know a token.
    """
    world = World()
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=None if seconds is None else world.now + seconds)
    if late:
        world.tokens.gate = asyncio.Event()
        asyncio.get_running_loop().call_soon(world.tokens.gate.set)
    return world
