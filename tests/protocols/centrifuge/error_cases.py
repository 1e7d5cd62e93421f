"""What reaches each error, and each code of an unsubscription."""

from __future__ import annotations

from relay.auth.authenticator import Identity
from relay.auth.credential import Unauthenticated
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.connecting import RENEWAL_SECONDS
from relay.errors import Refused
from relay.limits.channels import ChannelLimits
from relay.protocols.centrifuge import codes
from relay.protocols.multiplexed import ServerSubscription
from relay.protocols.request_errors import TokenRefused
from relay.rpc_call import RpcFailed
from tests.clients.recorder import OnlyPublic
from tests.protocols.centrifuge.code_cases import Cases, refused, refusing
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish

CASES = Cases()


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


@CASES.reaching(codes.ERROR_INTERNAL)
async def _internal(format: str) -> None:
    client = with_token_error(Refused(503, "away"), format)
    await refused(client, codes.ERROR_INTERNAL, subscribe=SUBSCRIBE)
    client.world.rpc.answers["m"] = RpcFailed("timeout")
    await refused(client, codes.ERROR_INTERNAL, rpc={"method": "m"})


@CASES.reaching(codes.ERROR_PERMISSION_DENIED)
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


@CASES.reaching(codes.ERROR_ALREADY_SUBSCRIBED)
async def _already_subscribed(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_ALREADY_SUBSCRIBED, subscribe={"channel": "a"})
    client.session.subscribe_by_server("b", ServerSubscription())
    await refused(client, codes.ERROR_ALREADY_SUBSCRIBED, subscribe={"channel": "b"})


@CASES.reaching(codes.ERROR_LIMIT_EXCEEDED)
async def _limit_exceeded(format: str) -> None:
    client = Conversation(a_world(channels=ChannelLimits.of(1)), format)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_LIMIT_EXCEEDED, subscribe={"channel": "b"})
    await client.ask(unsubscribe={"channel": "a"})
    assert await client.ask(subscribe={"channel": "b"}) == {"subscribe": {}}


@CASES.reaching(codes.ERROR_BAD_REQUEST)
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


@CASES.reaching(codes.ERROR_NOT_AVAILABLE)
async def _not_available(format: str) -> None:
    client = Conversation(a_world(), format)
    for request in ("history", "presence", "presence_stats"):
        await refused(client, codes.ERROR_NOT_AVAILABLE, **{request: {"channel": "a"}})
    await refused(client, codes.ERROR_NOT_AVAILABLE, rpc={"method": "m", "data": 1})
    if format == "json":
        await refused(client, codes.ERROR_NOT_AVAILABLE, publish={"channel": "a", "data": 1, "type": 1})


@CASES.reaching(codes.ERROR_TOKEN_EXPIRED)
async def _token_expired(format: str) -> None:
    for cause in ("expired", "not_yet_valid"):
        world, token = refusing(Unauthenticated(cause, "not now"))
        client = Conversation(world, format, connected=False)
        await refused(client, codes.ERROR_TOKEN_EXPIRED, connect={"token": token})
    client = with_token_error(TokenRefused("expired", "over"), format)
    await refused(client, codes.ERROR_TOKEN_EXPIRED, subscribe=SUBSCRIBE)
    await client.ask(subscribe={"channel": "a"})
    await refused(client, codes.ERROR_TOKEN_EXPIRED, sub_refresh=SUBSCRIBE)


@CASES.reaching(codes.ERROR_TOO_MANY_REQUESTS)
async def _subscribes_too_often(format: str) -> None:
    """After a gap, say, at which the relay itself has ended its subscriptions: it tries again."""
    client = Conversation(a_world(channels=ChannelLimits.of(5)), format)
    for _ in range(10):
        await client.ask(subscribe={"channel": "a"})
        await client.ask(unsubscribe={"channel": "a"})
    await refused(client, codes.ERROR_TOO_MANY_REQUESTS, subscribe={"channel": "a"})


@CASES.reaching(codes.ERROR_UNRECOVERABLE_POSITION)
async def _unrecoverable(format: str) -> None:
    client = Conversation(a_world(), format)
    lost = {"channel": "kept:a", "recover": True, "epoch": "other", "offset": 1}
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, subscribe={**lost, "flag": 2})
    assert list(client.session.channels) == []
    assert (await client.ask(subscribe={**lost, "flag": 1}))["subscribe"]["was_recovering"] is True
    since = {"channel": "kept:a", "limit": 1, "since": {"epoch": "other", "offset": 0}}
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, history=since)
    await refused(client, codes.ERROR_UNRECOVERABLE_POSITION, history={**since, "limit": 0})


@CASES.reaching(codes.UNSUBSCRIBE_SERVER)
async def _unsubscribed(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "a"})
    client.session.revoke("a")
    assert client.pushes == [{"channel": "a", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}]
    assert await client.ask(subscribe={"channel": "a"}) == {"subscribe": {}}


@CASES.reaching(codes.UNSUBSCRIBE_INSUFFICIENT_STATE)
async def _insufficient_state(format: str) -> None:
    client = Conversation(a_world(), format)
    await client.ask(subscribe={"channel": "kept:a"})
    client.client.missed("kept:a", None)
    assert client.pushes == [{"channel": "kept:a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}]
    publish(client.world, "kept:a", b"1")
    assert len(client.pushes) == 1, "it is not subscribed any more"
    reply = await client.ask(subscribe={"channel": "kept:a", "recover": True})
    assert [one["data"] for one in reply["subscribe"]["publications"]] == [1]


@CASES.reaching(codes.UNSUBSCRIBE_EXPIRED)
async def _subscription_expired(format: str) -> None:
    client = Conversation(a_world(), format)
    world = client.world
    world.tokens.grants["t"] = SubscriptionGrant(expires_at=world.now + 60)
    assert await client.ask(subscribe=SUBSCRIBE) == {"subscribe": {"expires": True, "ttl": 60}}
    world.pass_seconds(60 + RENEWAL_SECONDS)
    assert client.pushes == [{"channel": "a", "unsubscribe": {"code": 2501, "reason": "subscription expired"}}]
    assert client.ended is None
