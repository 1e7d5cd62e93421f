"""What reaches each code with which a client is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.auth.server_side import ServerSide
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.connecting import CONNECT_SECONDS, RENEWAL_SECONDS
from relay.errors import Disconnect, Refused
from relay.limits.channels import ChannelLimits
from relay.limits.limit import Limit, refusal
from relay.limits.rate import Rate
from relay.metrics.counters import Counters
from relay.protocols.centrifuge import codes
from relay.protocols.multiplexed import ServerSubscription
from relay.protocols.request_errors import TokenRefused
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.code_cases import Cases, closed, closing, refusing
from tests.protocols.centrifuge.conversation import Conversation, a_world
from tests.protocols.centrifuge.error_cases import SUBSCRIBE, with_token_error

CASES = Cases()


@CASES.reaching(codes.DISCONNECT_SHUTDOWN)
async def _shutdown(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.close(Disconnect.GOING_AWAY)
    closed(client, codes.DISCONNECT_SHUTDOWN)


@CASES.reaching(codes.DISCONNECT_SERVER_ERROR)
async def _server_error(format: str) -> None:
    world, token = refusing(Refused(503, "the bus is away"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_SERVER_ERROR, connect={"token": token})
    world = a_world()
    world.gate = asyncio.Event()
    client = Conversation(world, format, connected=False)
    client.begin(connect={"token": "t"})
    world.pass_seconds(CONNECT_SECONDS)  # it has said who it is, and the relay is late
    closed(client, codes.DISCONNECT_SERVER_ERROR)


@CASES.reaching(codes.DISCONNECT_EXPIRED)
async def _connection_expired(format: str) -> None:
    world = a_world()
    world.identities["t"] = Identity("ann", expires_at=world.now + 60)
    client = Conversation(world, format, connected=False)
    reply = await client.ask(connect={"token": "t"})
    assert (reply["connect"]["expires"], reply["connect"]["ttl"]) == (True, 60)
    world.pass_seconds(60 + RENEWAL_SECONDS)
    closed(client, codes.DISCONNECT_EXPIRED)
    world.refusals["old"] = Unauthenticated("expired", "too late")
    await closing(Conversation(world, format), codes.DISCONNECT_EXPIRED, refresh={"token": "old"})


@CASES.reaching(codes.DISCONNECT_SUBSCRIPTION_EXPIRED)
async def _server_side_expired(format: str) -> None:
    client = Conversation(a_world(), format)
    world = client.world
    client.session.subscribe_by_server("a", ServerSubscription())
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=world.now + 60)
    assert await client.ask(sub_refresh=SUBSCRIBE) == {"sub_refresh": {"expires": True, "ttl": 60}}
    world.pass_seconds(60 + RENEWAL_SECONDS)
    closed(client, codes.DISCONNECT_SUBSCRIPTION_EXPIRED)


@CASES.reaching(codes.DISCONNECT_SLOW)
async def _slow(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.close(Disconnect.SLOW_CONSUMER)
    closed(client, codes.DISCONNECT_SLOW)


@CASES.reaching(codes.DISCONNECT_INSUFFICIENT_STATE)
async def _server_side_gap(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.subscribe_by_server("a", ServerSubscription())
    client.client.missed("a", None)
    assert client.client.to_be_closed is not None
    client.session.close(client.client.to_be_closed)
    closed(client, codes.DISCONNECT_INSUFFICIENT_STATE)


@CASES.reaching(codes.DISCONNECT_NO_PONG)
async def _no_pong(format: str) -> None:
    for why in (Disconnect.KEEPALIVE_TIMEOUT, Disconnect.MESSAGE_TIMEOUT):
        client = Conversation(a_world(), format)
        client.session.close(why)
        closed(client, codes.DISCONNECT_NO_PONG)


@CASES.reaching(codes.DISCONNECT_TOO_MANY_REQUESTS)
async def _too_many_requests(format: str) -> None:
    for why in (Disconnect.FRAME_RATE, Disconnect.MESSAGE_RATE, Disconnect.BYTE_RATE):
        client = Conversation(a_world(), format)
        client.session.close(why)
        closed(client, codes.DISCONNECT_TOO_MANY_REQUESTS)
    # Those of others of its address, or of the back end that is asked: it may come again.
    for limit in (Limit.FAILED_AUTHENTICATIONS, Limit.NEW_ADDRESS_CONNECTIONS, None):
        refused = Refused(429, "later") if limit is None else refusal(limit, Counters())
        world, token = refusing(refused)
        client = Conversation(world, format, connected=False)
        await closing(client, codes.DISCONNECT_TOO_MANY_REQUESTS, connect={"token": token})
        await closing(Conversation(world, format), codes.DISCONNECT_TOO_MANY_REQUESTS, refresh={"token": token})
    client = Conversation(a_world(channels=ChannelLimits(20, Rate(1.0, 5))), format, connected=False)
    client.world.identities[None] = Identity("ann")
    subs: dict[str, Any] = {f"a{number}": {} for number in range(6)}
    await closing(client, codes.DISCONNECT_TOO_MANY_REQUESTS, connect={"subs": subs})


@CASES.reaching(codes.DISCONNECT_INVALID_TOKEN)
async def _invalid_token(format: str) -> None:
    world, token = refusing(Unauthenticated("wrong_signature", "forged"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_INVALID_TOKEN, connect={"token": token})
    await closing(Conversation(world, format), codes.DISCONNECT_INVALID_TOKEN, refresh={"token": token})
    world.identities["bob"] = Identity("bob")
    await closing(Conversation(world, format), codes.DISCONNECT_INVALID_TOKEN, refresh={"token": "bob"})
    for error in (TokenRefused("mismatch", "of another"), TokenRefused("invalid", "forged")):
        client = with_token_error(error, format)
        await client.ask(subscribe={"channel": "a"})
        await closing(client, codes.DISCONNECT_INVALID_TOKEN, sub_refresh=SUBSCRIBE)
    client = with_token_error(TokenRefused("mismatch", "of another"), format)
    await closing(client, codes.DISCONNECT_INVALID_TOKEN, subscribe=SUBSCRIBE)


@CASES.reaching(codes.DISCONNECT_BAD_REQUEST)
async def _bad_requests(format: str) -> None:
    """See also `test_order`."""
    world, token = refusing(Unauthenticated(MISSING, "a token is needed"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_BAD_REQUEST, connect={"token": token})
    await closing(Conversation(world, format), codes.DISCONNECT_BAD_REQUEST, refresh={})
    subscribe = {"channel": "a", "delta": "other"}
    await closing(Conversation(world, format), codes.DISCONNECT_BAD_REQUEST, subscribe=subscribe)


@CASES.reaching(codes.DISCONNECT_STALE)
async def _stale(format: str) -> None:
    client = Conversation(a_world(), format, connected=False)
    client.world.pass_seconds(CONNECT_SECONDS)
    closed(client, codes.DISCONNECT_STALE)


@CASES.reaching(codes.DISCONNECT_FORCE_NO_RECONNECT)
async def _force_disconnect(format: str) -> None:
    for why in (Disconnect.FORCE_DISCONNECT, Disconnect.USER_BLOCKED):
        client = Conversation(a_world(), format)
        client.session.close(why)
        closed(client, codes.DISCONNECT_FORCE_NO_RECONNECT)


@CASES.reaching(codes.DISCONNECT_CONNECTION_LIMIT)
async def _connection_limit(format: str) -> None:
    world = a_world(per_user=1)
    world.identities["ann"] = Identity("ann")
    clients = [Conversation(world, format, connected=False) for _ in range(2)]
    await clients[0].ask(connect={"token": "ann"})
    await closing(clients[1], codes.DISCONNECT_CONNECTION_LIMIT, connect={"token": "ann"})


@CASES.reaching(codes.DISCONNECT_CHANNEL_LIMIT)
async def _channel_limit(format: str) -> None:
    world = a_world(channels=ChannelLimits.of(1))
    given = ServerSide({name: ServerSubscription() for name in "ab"})
    world.identities["t"] = Identity("ann", server_side=given)
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_CHANNEL_LIMIT, connect={"token": "t"})
    await wait_until(world.nothing_is_left)


@CASES.reaching(codes.DISCONNECT_PERMISSION_DENIED)
async def _not_permitted(format: str) -> None:
    world, token = refusing(Refused(403, "the back end says no"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_PERMISSION_DENIED, connect={"token": token})


@CASES.reaching(codes.DISCONNECT_NOT_AVAILABLE)
async def _send(format: str) -> None:
    for id_ in ({}, {"id": 5}):
        client = Conversation(a_world(), format)
        client.say({"id": 4, "subscribe": {"channel": "a"}}, {**id_, "send": {"data": 1}})
        closed(client, codes.DISCONNECT_NOT_AVAILABLE)
        assert client.replies[1:] == [{"id": 4, "subscribe": {}}]
