"""What each method does, on one gateway."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from relay import Gateway
from relay.clients.session import Session
from relay.control import responder
from relay.namespaces import ChannelOptions
from relay.protocols.multiplexed import ServerSubscription
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, call, call_raw
from tests.harness.websocket_client import connected


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway whose API is on."""
    (gateway,) = await embedded(1, **{"api_keys": KEY, **settings})
    return gateway


@pytest.mark.parametrize(
    "text",
    ['{"a":  [1, 2.50, "\\u00e9\\ud83d\\ude00"] }', '"hello"', "null", "0", "1e400", '"\u20ac"', '{"a":1,"a":2}', "[]"],
)
async def test_data_reaches_clients_as_it_was_written(embedded: EmbeddedFactory, text: str) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/chat") as (client,):
        body = f'{{"data" : {text} , "channel": "chat"}}'.encode()
        response = await call_raw(gateway.port, "publish", body)
        assert response.json == {"result": {}}
        assert await client.receive(1) == [text]


async def test_b64data_is_a_binary_message_and_comes_before_data(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    payload = bytes(range(256))
    async with connected(f"{gateway.url}/ws/chat") as (client,):
        parameters = {"channel": "chat", "data": {}, "b64data": base64.b64encode(payload).decode()}
        assert await call(gateway.port, "publish", parameters) == {"result": {}}
        assert await client.receive(1) == [payload]


@pytest.mark.parametrize(
    ("method", "parameters", "code", "words"),
    [
        ("publish", {"data": 1}, 107, "channel"),
        ("publish", {"channel": "a"}, 107, "data: is missing"),
        ("publish", {"channel": "a b", "data": 1}, 107, "channel: must not contain"),
        ("publish", {"channel": "", "data": 1}, 107, "channel: must have 1 to 255"),
        ("publish", {"channel": " control", "data": 1}, 107, "channel: must not contain"),
        ("publish", {"channel": 1, "data": 1}, 107, "`$.channel`"),
        ("publish", {"channel": "a", "data": 1, "daat": 1}, 107, "`daat`"),
        ("publish", {"channel": "a", "b64data": "AB"}, 107, "b64data: must be base64"),
        ("publish", {"channel": "a", "b64data": "A\u00e9=="}, 107, "b64data: must be base64"),
        ("publish", {"channel": "a", "data": "x" * 999}, 107, "data: has 1001 bytes"),
        ("publish", {"channel": "a", "b64data": "AAAA" * 400}, 107, "b64data: has 1200 bytes"),
        ("publish", {"channel": "a", "data": 1, "tags": {"a": 1}}, 107, "$.tags"),
        ("publish", {"channel": "a", "data": 1, "tags": ["a"]}, 107, "$.tags"),
        ("publish", {"channel": "a", "data": 1, "tags": {"a": "b" * 4096}}, 107, "tags: must have at most 4096 bytes"),
        ("broadcast", {"channels": ["a"], "data": 1, "tags": {"a": "b" * 4096}}, 107, "tags: must have at most 4096"),
        ("publish", {"channel": "a", "data": 1, "idempotency_key": "k" * 256}, 107, "$.idempotency_key"),
        ("publish", {"channel": "a", "data": 1, "idempotency_key": "\u00e9"}, 107, "$.idempotency_key"),
        ("broadcast", {"channels": ["a"], "data": 1, "idempotency_key": "a\n"}, 107, "idempotency_key: must have"),
        ("publish", [], 107, "object"),
        ("broadcast", {"channels": [], "data": 1}, 107, "channels"),
        ("broadcast", {"channels": "a", "data": 1}, 107, "channels"),
        ("broadcast", {"channels": ["a"] * 1001, "data": 1}, 107, "channels"),
        ("disconnect", {}, 107, "user"),
        ("disconnect", {"user": ""}, 107, "user"),
        ("disconnect", {"user": "a", "client": "x"}, 107, "client"),
        ("disconnect", {"user": "a", "session": "s"}, 108, "session"),
        ("disconnect", {"user": "a", "disconnect": {"code": 1000}}, 107, "$.disconnect.code"),
        ("disconnect", {"user": "a", "disconnect": {"code": 5000}}, 107, "$.disconnect.code"),
        ("disconnect", {"user": "a", "disconnect": {"code": 4000, "reason": "\u20ac" * 42}}, 107, "disconnect.reason"),
        ("disconnect", {"user": "a", "whitelist": ["x"]}, 107, "whitelist"),
        ("subscribe", {"user": "a"}, 107, "channel"),
        ("subscribe", {"channel": "a"}, 107, "user: must not be empty"),
        ("subscribe", {"user": "a", "channel": "a b"}, 107, "channel: must not contain"),
        ("subscribe", {"user": "a", "channel": "a", "client": "x"}, 107, "client"),
        ("subscribe", {"user": "a", "channel": "a", "info": "x" * 4096}, 107, "info of a: must have at most 4096"),
        ("subscribe", {"user": "a", "channel": "a", "data": "x" * 16384}, 107, "data: all of it"),
        ("subscribe", {"user": "a", "channel": "a", "b64info": "e"}, 107, "b64info: must be base64"),
        ("subscribe", {"user": "a", "channel": "a", "b64data": "ew=="}, 107, "data of a: must be JSON in UTF-8"),
        ("subscribe", {"user": "a", "channel": "a", "session": "s"}, 108, "session"),
        ("subscribe", {"user": "a", "channel": "a", "expire_at": 9e9}, 108, "expire_at"),
        ("subscribe", {"user": "a", "channel": "a", "recover_since": {"offset": 1}}, 108, "recover_since"),
        ("subscribe", {"user": "a", "channel": "a", "override": {"presence": {"value": True}}}, 108, "override"),
        ("subscribe", {"user": "a", "channel": "a", "all_users": True}, 107, "all_users"),
        ("unsubscribe", {"user": "a"}, 107, "channel"),
        ("unsubscribe", {"channel": "a"}, 107, "user"),
        ("channels", {"pattern": "x" * 256}, 107, "pattern"),
        ("info", {"unknown": 1}, 107, "unknown"),
        ("batch", {}, 107, "commands"),
        ("batch", {"commands": [1]}, 107, "commands"),
    ],
)
async def test_errors_name_the_field(
    embedded: EmbeddedFactory, method: str, parameters: object, code: int, words: str
) -> None:
    gateway = await start(embedded, max_message_bytes=1000)
    reply = await call(gateway.port, method, parameters)
    assert list(reply) == ["error"]
    assert reply["error"]["code"] == code
    assert words in reply["error"]["message"]
    assert gateway.counters.messages_published == 0
    assert gateway.counters.api_requests == {f"{method} {code}": 1}


async def test_a_broadcast_tells_the_fate_in_each_channel(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/c") as (a, c):
        reply = await call(gateway.port, "broadcast", {"channels": ["a", "b b", "c", "nobody"], "data": 1})
        first, second, third, fourth = reply["result"]["responses"]
        assert first == third == fourth == {"result": {}}
        assert second["error"]["code"] == 107
        assert "channels[1]" in second["error"]["message"]
        assert (await a.receive(1), await c.receive(1)) == (["1"], ["1"])


async def test_a_namespace_may_have_a_largest_message_of_its_own(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, namespaces={"chat": ChannelOptions(max_message_bytes=10)})
    assert await call(gateway.port, "publish", {"channel": "chat:1", "data": "x" * 8}) == {"result": {}}
    reply = await call(gateway.port, "publish", {"channel": "chat:1", "data": "x" * 9})
    assert reply["error"] == {
        "code": 107, "message": "bad request: channel: the message has 11 bytes, its namespace allows 10"
    }  # fmt: skip
    reply = await call(gateway.port, "broadcast", {"channels": ["news:1", "chat:1"], "data": "x" * 9})
    first, second = reply["result"]["responses"]
    assert first == {"result": {}}
    assert second["error"]["message"].endswith("channels[1]: the message has 11 bytes, its namespace allows 10")
    assert gateway.counters.messages_published == 2


async def test_a_large_broadcast_is_sent_piece_by_piece(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    channels = [f"c{number}" for number in range(1000)]
    async with connected(f"{gateway.url}/ws/c999") as (client,):
        reply = await call(gateway.port, "broadcast", {"channels": channels, "data": "x" * 5000})
        assert reply["result"]["responses"] == [{"result": {}}] * 1000
        assert await client.receive(1) == ['"' + "x" * 5000 + '"']


async def test_channels_and_info_count_clients(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    url = gateway.url
    assert await call(gateway.port, "channels", {}) == {"result": {"channels": {}}}
    async with connected(f"{url}/ws/chat:1?user=ann", f"{url}/ws/chat:1?user=ann", f"{url}/ws/news"):
        expected: dict[str, Any] = {"chat:1": {"num_clients": 2}, "news": {"num_clients": 1}}
        assert (await call(gateway.port, "channels", {}))["result"]["channels"] == expected
        assert (await call(gateway.port, "channels", {"pattern": "chat:*"}))["result"]["channels"] == {
            "chat:1": {"num_clients": 2}
        }
        assert (await call(gateway.port, "channels", {"pattern": "CHAT:*"}))["result"]["channels"] == {}
        (node,) = (await call(gateway.port, "info", {}))["result"]["nodes"]
        counts = {name: node[name] for name in ("num_clients", "num_users", "num_subs", "num_channels")}
        assert counts == {"num_clients": 3, "num_users": 1, "num_subs": 3, "num_channels": 2}
        assert node["name"].endswith(f":{gateway.port}")
        assert len(node["uid"]) == 16


async def test_too_many_channels_are_an_error_not_a_part(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "MAX_CHANNELS", 1)
    gateway = await start(embedded)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/b"):
        reply = await call(gateway.port, "channels", {})
        assert reply["error"]["code"] == 106
        assert "pattern" in reply["error"]["message"]
        assert (await call(gateway.port, "channels", {"pattern": "a"}))["result"]["channels"] == {
            "a": {"num_clients": 1}
        }


async def test_disconnect_closes_the_clients_of_a_user_and_nobody_else(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    url = gateway.url
    async with connected(f"{url}/ws/a?user=ann", f"{url}/ws/b?user=ann", f"{url}/ws/a?user=bob", f"{url}/ws/a") as all_:
        assert await call(gateway.port, "disconnect", {"user": "ann"}) == {"result": {}}
        for ann in all_[:2]:
            assert await ann.ended() == (3503, "force disconnect")
        assert all(client.is_open for client in all_[2:])
    assert gateway.counters.disconnects == {"FORCE_DISCONNECT": 2}


async def test_disconnect_with_a_code_and_a_reason_and_those_who_stay(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    url = f"{gateway.url}/ws/a?user=ann"
    async with connected(url, url, url) as clients:
        ids = [client.session.id.hex() for client in parts_of(gateway).context.registry]
        close = {"code": 4321, "reason": "bye \u20ac"}
        await call(gateway.port, "disconnect", {"user": "ann", "whitelist": ids[:2], "disconnect": close})
        await wait_until(lambda: sum(not client.is_open for client in clients) == 1)
        (gone,) = [client for client in clients if not client.is_open]
        assert await gone.ended() == (4321, "bye \u20ac")
        await call(gateway.port, "disconnect", {"client": ids[0]})
        await wait_until(lambda: sum(not client.is_open for client in clients) == 2)
        await call(gateway.port, "disconnect", {"client": ids[1], "user": "bob"})
        await call(gateway.port, "disconnect", {"client": "0" * 32})
        assert await call(gateway.port, "info", {})
        assert sum(client.is_open for client in clients) == 1
        await call(gateway.port, "disconnect", {"client": ids[1], "user": "ann"})
        await wait_until(lambda: not any(client.is_open for client in clients))


async def test_subscribe_reaches_the_clients_of_a_user(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is given along, in JSON or in base64. A plain client has one channel, and takes no notice."""
    gateway = await start(embedded)
    heard: list[tuple[str | None, str, ServerSubscription]] = []

    def subscribe_by_server(session: Session, channel: str, subscription: ServerSubscription) -> None:
        heard.append((session.user, channel, subscription))

    async with connected(f"{gateway.url}/ws/a?user=ann", f"{gateway.url}/ws/a?user=bob") as clients:
        assert await call(gateway.port, "subscribe", {"user": "ann", "channel": "b"}) == {"result": {}}
        monkeypatch.setattr(Session, "subscribe_by_server", subscribe_by_server)
        text = {"info": {"a": 1}, "data": None, "expire_at": 0, "recover_since": None, "override": {}}
        coded = {"b64info": base64.b64encode(b"[1]").decode(), "b64data": "MQ==", "info": 7, "session": ""}
        for channel, given in (("b", {}), ("c", text), ("d", coded)):
            parameters = {"user": "ann", "channel": channel, **given}
            assert await call(gateway.port, "subscribe", parameters) == {"result": {}}
        await wait_until(lambda: len(heard) == 3)
        assert all(client.is_open for client in clients)
    assert heard == [
        ("ann", "b", ServerSubscription()),
        ("ann", "c", ServerSubscription(b'{"a": 1}')),
        ("ann", "d", ServerSubscription(b"[1]", b"1")),
    ]


async def test_unsubscribe_closes_the_clients_of_a_user_in_one_channel(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    url = gateway.url
    async with connected(f"{url}/ws/a?user=ann", f"{url}/ws/b?user=ann", f"{url}/ws/a?user=bob") as (a, b, bob):
        assert await call(gateway.port, "unsubscribe", {"user": "ann", "channel": "a"}) == {"result": {}}
        assert await a.ended() == (4500, "unsubscribed")
        await call(gateway.port, "info", {})
        assert b.is_open
        assert bob.is_open
    assert gateway.counters.disconnects == {"UNSUBSCRIBED": 1}


async def test_what_control_says_is_not_counted_as_delivered(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    await call(gateway.port, "channels", {})
    await call(gateway.port, "disconnect", {"user": "nobody"})
    await wait_until(lambda: gateway.counters.messages_delivered == 0)
    assert (gateway.counters.deliveries, gateway.counters.writes) == (0, 0)
