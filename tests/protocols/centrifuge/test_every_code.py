"""Every number that the relay sends is reached, and there is no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.auth.server_side import ServerSide
from relay.auth.subscription_tokens import (
    SubscriptionGrant,
)
from relay.clients.connecting import CONNECT_SECONDS, RENEWAL_SECONDS
from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.limits.channels import ChannelLimits
from relay.limits.limit import Limit, refusal
from relay.limits.rate import Rate
from relay.metrics.counters import Counters
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.pushes import Unsubscribe
from relay.protocols.centrifuge.results import Error
from relay.protocols.multiplexed import ServerSubscription
from relay.protocols.request_errors import TokenRefused
from relay.rpc_call import RpcDisconnect, RpcError, RpcFailed
from tests.clients.recorder import OnlyPublic
from tests.clients.session_world import World
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish

Test = Callable[[str], Awaitable[None]]

CASES: list[tuple[Error | Unsubscribe | Close, Test]] = []


def case(code: Error | Unsubscribe | Close) -> Callable[[Test], Test]:
    """Register what reaches a code."""

    def register(test: Test) -> Test:
        CASES.append((code, test))
        return test

    return register


async def refused(client: Conversation, error: Error, **request: Any) -> None:
    """Say a command, and fail unless it is answered with an error, and the client stays."""
    reply = await client.ask(**request)
    told = {"code": error.code, "message": error.message} | ({"temporary": True} if error.temporary else {})
    assert reply == {"error": told}
    assert client.ended is None


def closed(client: Conversation, close: Close) -> None:
    """Fail unless a client was closed with a code, and has left nothing."""
    assert client.ended == (close.code, close.reason)
    assert client.session.open is False


async def closing(client: Conversation, close: Close, **request: Any) -> None:
    """Say a command, and fail unless it closes the client without a reply."""
    before = len(client.replies)
    client.begin(**request)
    await wait_until(lambda: client.ended)
    closed(client, close)
    assert len(client.replies) == before


def refusing(refusal: Refused) -> tuple[World, str]:
    """Return a world that refuses a token."""
    world = a_world()
    world.refusals["t"] = refusal
    return world, "t"


class Failing:
    """Knows only tokens that are not in order; see `SubscriptionAuthenticator`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant:
        raise self.error


def with_token_error(error: TokenRefused | Refused, format: str) -> Conversation:
    """Return a client whose tokens for channels are refused."""
    world = a_world()
    world.context.authorizer = Failing(error)
    return Conversation(world, format)


SUBSCRIBE = {"channel": "a", "token": "t"}


@case(codes.ERROR_INTERNAL)
async def _internal(format: str) -> None:
    client = with_token_error(Refused(503, "away"), format)
    await refused(client, codes.ERROR_INTERNAL, subscribe=SUBSCRIBE)
    client.world.rpc.answers["m"] = RpcFailed("timeout")
    await refused(client, codes.ERROR_INTERNAL, rpc={"method": "m"})


@case(codes.ERROR_PERMISSION_DENIED)
async def _permission_denied(format: str) -> None:
    world = a_world()
    world.identities[None] = Identity(None, OnlyPublic())
    client = Conversation(world, format)
    for request in ("subscribe", "history", "presence", "presence_stats"):
        await refused(client, codes.ERROR_PERMISSION_DENIED, **{request: {"channel": "a"}})
    await refused(client, codes.ERROR_PERMISSION_DENIED, publish={"channel": "a", "data": 1})
    await refused(client, codes.ERROR_PERMISSION_DENIED, subscribe=SUBSCRIBE)  # forged
    if format == "json":  # the schema of the client for Python has no such field
        await refused(client, codes.ERROR_PERMISSION_DENIED, subscribe={"channel": "public", "type": 1})
    await refused(client, codes.ERROR_PERMISSION_DENIED, sub_refresh={"channel": "a", "token": "t"})


@case(codes.ERROR_ALREADY_SUBSCRIBED)
async def _already_subscribed(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_ALREADY_SUBSCRIBED, subscribe={"channel": "a"})
    client.session.subscribe_by_server("b", ServerSubscription())
    await refused(client, codes.ERROR_ALREADY_SUBSCRIBED, subscribe={"channel": "b"})


@case(codes.ERROR_LIMIT_EXCEEDED)
async def _limit_exceeded(format: str) -> None:
    client = Conversation(a_world(channels=ChannelLimits.of(1)), format)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_LIMIT_EXCEEDED, subscribe={"channel": "b"})
    await client.ask(unsubscribe={"channel": "a"})
    assert await client.ask(subscribe={"channel": "b"}) == {"subscribe": {}}


@case(codes.ERROR_BAD_REQUEST)
async def _bad_request(format: str) -> None:
    client = Conversation(a_world(), format)
    for name in ("a b", "x" * 256, "\0"):
        await refused(client, codes.ERROR_BAD_REQUEST, subscribe={"channel": name})
        await refused(client, codes.ERROR_BAD_REQUEST, publish={"channel": name, "data": 1})
        await refused(client, codes.ERROR_BAD_REQUEST, history={"channel": name})
    await refused(client, codes.ERROR_BAD_REQUEST, publish={"channel": "a"})
    await refused(client, codes.ERROR_BAD_REQUEST, history={"channel": "kept:a", "since": {}, "reverse": True})
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_BAD_REQUEST, sub_refresh={"channel": "a"})


@case(codes.ERROR_NOT_AVAILABLE)
async def _not_available(format: str) -> None:
    client = Conversation(a_world(), format)
    for request in ("history", "presence", "presence_stats"):
        await refused(client, codes.ERROR_NOT_AVAILABLE, **{request: {"channel": "a"}})
    await refused(client, codes.ERROR_NOT_AVAILABLE, rpc={"method": "m", "data": 1})
    if format == "json":
        await refused(client, codes.ERROR_NOT_AVAILABLE, publish={"channel": "a", "data": 1, "type": 1})


@case(codes.ERROR_TOKEN_EXPIRED)
async def _token_expired(format: str) -> None:
    for cause in ("expired", "not_yet_valid"):
        world, token = refusing(Unauthenticated(cause, "not now"))
        client = Conversation(world, format, connected=False)
        await refused(client, codes.ERROR_TOKEN_EXPIRED, connect={"token": token})
    client = with_token_error(TokenRefused("expired", "over"), format)
    await refused(client, codes.ERROR_TOKEN_EXPIRED, subscribe=SUBSCRIBE)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_TOKEN_EXPIRED, sub_refresh=SUBSCRIBE)


@case(codes.ERROR_TOO_MANY_REQUESTS)
async def _subscribes_too_often(format: str) -> None:
    """After a gap, say, at which the relay itself has ended its subscriptions: it tries again."""
    client = Conversation(a_world(channels=ChannelLimits.of(5)), format)
    for _ in range(10):
        await client.ask(subscribe={"channel": "a"})
        await client.ask(unsubscribe={"channel": "a"})
    await refused(client, codes.ERROR_TOO_MANY_REQUESTS, subscribe={"channel": "a"})


@case(codes.ERROR_UNRECOVERABLE_POSITION)
async def _unrecoverable(format: str) -> None:
    client = Conversation(a_world(), format)
    lost = {"channel": "kept:a", "recover": True, "epoch": "other", "offset": 1}
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, subscribe={**lost, "flag": 2})
    assert list(client.session.channels) == []
    assert (await client.ask(subscribe={**lost, "flag": 1}))["subscribe"]["was_recovering"] is True
    since = {"channel": "kept:a", "limit": 1, "since": {"epoch": "other", "offset": 0}}
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, history=since)
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, history={**since, "limit": 0})


@case(codes.UNSUBSCRIBE_SERVER)
async def _unsubscribed(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "a"})
    client.session.revoke("a")
    assert client.pushes == [{"channel": "a", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}]
    assert await client.ask(subscribe={"channel": "a"}) == {"subscribe": {}}


@case(codes.UNSUBSCRIBE_INSUFFICIENT_STATE)
async def _insufficient_state(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "kept:a"})
    client.client.missed("kept:a", None)
    assert client.pushes == [{"channel": "kept:a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}]
    publish(client.world, "kept:a", b"1")
    assert len(client.pushes) == 1, "it is not subscribed any more"
    reply = await client.ask(subscribe={"channel": "kept:a", "recover": True})
    assert [one["data"] for one in reply["subscribe"]["publications"]] == [1]


@case(codes.UNSUBSCRIBE_EXPIRED)
async def _subscription_expired(format: str) -> None:
    client = Conversation(a_world(), format)
    world = client.world
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=world.now + 60)
    assert await client.ask(subscribe=SUBSCRIBE) == {"subscribe": {"expires": True, "ttl": 60}}
    world.pass_seconds(60 + RENEWAL_SECONDS)
    assert client.pushes == [{"channel": "a", "unsubscribe": {"code": 2501, "reason": "subscription expired"}}]
    assert client.ended is None


@case(codes.DISCONNECT_SHUTDOWN)
async def _shutdown(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.close(Disconnect.GOING_AWAY)
    closed(client, codes.DISCONNECT_SHUTDOWN)


@case(codes.DISCONNECT_SERVER_ERROR)
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


@case(codes.DISCONNECT_EXPIRED)
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


@case(codes.DISCONNECT_SUBSCRIPTION_EXPIRED)
async def _server_side_expired(format: str) -> None:
    client = Conversation(a_world(), format)
    world = client.world
    client.session.subscribe_by_server("a", ServerSubscription())
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=world.now + 60)
    assert await client.ask(sub_refresh=SUBSCRIBE) == {"sub_refresh": {"expires": True, "ttl": 60}}
    world.pass_seconds(60 + RENEWAL_SECONDS)
    closed(client, codes.DISCONNECT_SUBSCRIPTION_EXPIRED)


@case(codes.DISCONNECT_SLOW)
async def _slow(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.close(Disconnect.SLOW_CONSUMER)
    closed(client, codes.DISCONNECT_SLOW)


@case(codes.DISCONNECT_INSUFFICIENT_STATE)
async def _server_side_gap(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.subscribe_by_server("a", ServerSubscription())
    client.client.missed("a", None)
    assert client.client.to_be_closed is not None
    client.session.close(client.client.to_be_closed)
    closed(client, codes.DISCONNECT_INSUFFICIENT_STATE)


@case(codes.DISCONNECT_NO_PONG)
async def _no_pong(format: str) -> None:
    for why in (Disconnect.KEEPALIVE_TIMEOUT, Disconnect.MESSAGE_TIMEOUT):
        client = Conversation(a_world(), format)
        client.session.close(why)
        closed(client, codes.DISCONNECT_NO_PONG)


@case(codes.DISCONNECT_TOO_MANY_REQUESTS)
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


@case(codes.DISCONNECT_INVALID_TOKEN)
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


@case(codes.DISCONNECT_BAD_REQUEST)
async def _bad_requests(format: str) -> None:
    """See also `test_order`."""
    world, token = refusing(Unauthenticated(MISSING, "a token is needed"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_BAD_REQUEST, connect={"token": token})
    await closing(Conversation(world, format), codes.DISCONNECT_BAD_REQUEST, refresh={})
    subscribe = {"channel": "a", "delta": "other"}
    await closing(Conversation(world, format), codes.DISCONNECT_BAD_REQUEST, subscribe=subscribe)


@case(codes.DISCONNECT_STALE)
async def _stale(format: str) -> None:
    client = Conversation(a_world(), format, connected=False)
    client.world.pass_seconds(CONNECT_SECONDS)
    closed(client, codes.DISCONNECT_STALE)


@case(codes.DISCONNECT_FORCE_NO_RECONNECT)
async def _force_disconnect(format: str) -> None:
    for why in (Disconnect.FORCE_DISCONNECT, Disconnect.USER_BLOCKED):
        client = Conversation(a_world(), format)
        client.session.close(why)
        closed(client, codes.DISCONNECT_FORCE_NO_RECONNECT)


@case(codes.DISCONNECT_CONNECTION_LIMIT)
async def _connection_limit(format: str) -> None:
    world = a_world(per_user=1)
    world.identities["ann"] = Identity("ann")
    clients = [Conversation(world, format, connected=False) for _ in range(2)]
    await clients[0].ask(connect={"token": "ann"})
    await closing(clients[1], codes.DISCONNECT_CONNECTION_LIMIT, connect={"token": "ann"})


@case(codes.DISCONNECT_CHANNEL_LIMIT)
async def _channel_limit(format: str) -> None:
    world = a_world(channels=ChannelLimits.of(1))
    given = ServerSide({name: ServerSubscription() for name in "ab"})
    world.identities["t"] = Identity("ann", server_side=given)
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_CHANNEL_LIMIT, connect={"token": "t"})
    await wait_until(world.nothing_is_left)


@case(codes.DISCONNECT_PERMISSION_DENIED)
async def _not_permitted(format: str) -> None:
    world, token = refusing(Refused(403, "the back end says no"))
    client = Conversation(world, format, connected=False)
    await closing(client, codes.DISCONNECT_PERMISSION_DENIED, connect={"token": token})


@case(codes.DISCONNECT_NOT_AVAILABLE)
async def _send(format: str) -> None:
    for id_ in ({}, {"id": 5}):
        client = Conversation(a_world(), format)
        client.say({"id": 4, "subscribe": {"channel": "a"}}, {**id_, "send": {"data": 1}})
        closed(client, codes.DISCONNECT_NOT_AVAILABLE)
        assert client.replies[1:] == [{"id": 4, "subscribe": {}}]


@pytest.mark.parametrize("format", ["json", "protobuf"])
@pytest.mark.parametrize(("code", "test"), CASES, ids=lambda one: str(getattr(one, "code", "")))
async def test_a_code_is_sent(code: object, test: Test, format: str) -> None:
    await test(format)


def test_no_other_code_is_ever_sent() -> None:
    """But those that a back end chooses."""
    constants = [value for value in vars(codes).values() if isinstance(value, Error | Unsubscribe | Close)]
    assert [code for code, _ in CASES] == constants


@pytest.mark.parametrize("format", ["json", "protobuf"])
async def test_a_back_end_chooses_others(format: str) -> None:
    client = Conversation(a_world(), format)
    answers = client.world.rpc.answers
    answers["wrong"] = RpcError(400, "too much", temporary=False)
    answers["later"] = RpcError(1999, "too early", temporary=True)
    answers["end"] = RpcDisconnect(4500, "enough")
    assert await client.ask(rpc={"method": "wrong"}) == {"error": {"code": 400, "message": "too much"}}
    later = {"error": {"code": 1999, "message": "too early", "temporary": True}}
    assert await client.ask(rpc={"method": "later"}) == later
    client.begin(rpc={"method": "end"})
    await wait_until(lambda: client.ended)
    assert client.ended == (4500, "enough")
    client = Conversation(a_world(), format)
    client.session.close(CustomDisconnect(4501, "go away"))
    assert client.ended == (4501, "go away")


async def test_a_user_with_too_many_clients_may_come_when_one_has_left() -> None:
    world = a_world(per_user=1)
    world.identities["ann"] = Identity("ann")
    world.gate = asyncio.Event()
    first, second = (Conversation(world, connected=False) for _ in range(2))
    for one in (first, second):
        one.begin(connect={"token": "ann"})
    first.leave()
    world.gate.set()
    await wait_until(lambda: second.replies)
    assert "connect" in second.reply(1)


@pytest.mark.parametrize("others", ["before", "after"])
async def test_one_close_is_enough_where_several_subscriptions_can_not_be(others: str) -> None:
    """Where they are too many none begins; behind one that can't be, none is tried."""
    world = a_world(channels=ChannelLimits.of(3))
    names = ["a", "b", "c", "d"] if others == "before" else ["not a channel", "a", "b"]
    given = {name: ServerSubscription() for name in names}
    world.identities["t"] = Identity("ann", server_side=ServerSide(given))
    client = Conversation(world, connected=False)
    client.begin(connect={"token": "t"})
    await wait_until(lambda: client.ended)
    assert client.ended == ((3505, "channel limit") if others == "before" else (3004, "internal server error"))
    assert len(client.client.closed) == 1
    await wait_until(world.nothing_is_left)
