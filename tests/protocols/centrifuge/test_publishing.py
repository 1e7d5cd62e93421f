"""What clients publish, as others get it, and questions that can't be answered."""

from __future__ import annotations

import pytest

from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.brokers.history import HistoryError
from relay.brokers.presence import PresenceError
from relay.errors import BusUnavailable
from relay.limits.channels import ChannelLimits
from relay.message import Kind, Message
from relay.rpc_call import RpcCall
from tests.clients.recorder import OnlyPublic
from tests.protocols.centrifuge.conversation import OPTIONS, Conversation, a_world

INTERNAL = {"error": {"code": 100, "message": "internal server error", "temporary": True}}


@pytest.mark.parametrize(
    ("format", "data", "payload", "kind"),
    [
        ("json", {"a": 1}, b'{"a": 1}', Kind.TEXT),
        ("json", "ü", b'"\\u00fc"', Kind.TEXT),
        ("json", None, b"null", Kind.TEXT),
        ("protobuf", "ü".encode(), "ü".encode(), Kind.TEXT),
        ("protobuf", b"\xff\x00", b"\xff\x00", Kind.BINARY),
    ],
)
async def test_it_is_text_where_it_can_be(
    format: str, data: object, payload: bytes, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So plain clients get a text, if they can."""
    world = a_world()
    client = Conversation(world, format)
    published: list[Message] = []
    monkeypatch.setattr(world.node, "publish", lambda message, source, receipt: published.append(message))
    client.begin(publish={"channel": "a", "data": data})
    assert [(message.payload, message.kind) for message in published] == [(payload, kind)]


async def test_what_is_too_large_for_its_channel_is_refused(format: str) -> None:
    client = Conversation(a_world(channels=ChannelLimits.of(10, OPTIONS)), format)
    reply = await client.ask(publish={"channel": "small:a", "data": "x" * 20})
    assert reply == {"error": {"code": 106, "message": "limit exceeded"}}
    assert await client.ask(publish={"channel": "small:a", "data": "x"}) == {"publish": {}}


async def test_a_failure_of_the_bus_is_one_of_the_server(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Conversation(a_world(), format)
    node = client.world.node

    async def no_history(*arguments: object, **more: object) -> None:
        raise HistoryError("away")

    async def no_presence(*arguments: object) -> None:
        raise PresenceError("away")

    monkeypatch.setattr(node.history, "read", no_history)
    monkeypatch.setattr(node.presence, "members", no_presence)
    monkeypatch.setattr(node.presence, "stats", no_presence)
    assert await client.ask(history={"channel": "kept:a", "limit": 1}) == INTERNAL
    assert await client.ask(presence={"channel": "seen:a"}) == INTERNAL
    assert await client.ask(presence_stats={"channel": "seen:a"}) == INTERNAL
    monkeypatch.setattr(node, "publish", lambda message, source, receipt: receipt(BusUnavailable("away")))
    assert await client.ask(publish={"channel": "a", "data": 1}) == INTERNAL


async def test_a_call_says_who_calls_and_how(format: str) -> None:
    client = Conversation(a_world(), format)
    back_end = client.world.rpc
    back_end.answers = {"sum": b"[3]", "nothing": b""}
    assert await client.ask(rpc={"method": "sum", "data": [1, 2]}) == {"rpc": {"data": [3]}}
    assert await client.ask(rpc={"method": "nothing"}) == {"rpc": {}}
    (first, second) = back_end.calls
    assert isinstance(first, RpcCall)
    assert (first.method, first.data.replace(b" ", b""), first.binary) == ("sum", b"[1,2]", format == "protobuf")
    assert (first.protocol, first.transport, first.remote) == (format, "websocket", "192.0.2.1")
    assert (second.data, second.client) == (b"", client.session.id.hex())


async def test_a_subscriber_may_what_its_namespace_says(format: str) -> None:
    """As long as it is one."""
    world = a_world()
    world.identities[None] = Identity("ann", OnlyPublic())
    world.tokens.grants["t"] = SubscriptionGrant()
    client = Conversation(world, format)
    questions = (
        {"publish": {"channel": "asked:a", "data": 1}},
        {"history": {"channel": "asked:a"}},
        {"presence": {"channel": "asked:a"}},
    )
    for question in questions:
        assert (await client.ask(**question))["error"]["code"] == 103
    await client.ask(subscribe={"channel": "asked:a", "token": "t"})
    for question in questions:
        assert "error" not in await client.ask(**question)
    await client.ask(unsubscribe={"channel": "asked:a"})
    for question in questions:
        assert (await client.ask(**question))["error"]["code"] == 103
