"""`POST /publish/CHANNEL`, as curl and web pages send it."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers import Receipt, Source
from relay.brokers.memory import MemoryBroker
from relay.errors import DeliveryUnknown
from relay.message import Message
from relay.namespaces import ChannelOptions
from relay.position import parse_position
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, send_request
from tests.harness.inside import parts_of
from tests.harness.server_api import KEY, call, publish, request
from tests.harness.websocket_client import connected

TEXT = "Content-Type: text/plain"


async def test_what_curl_sends_is_a_text_message(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/lobby", f"{gateway.url}/ws/a%2Fb:c") as (lobby, other):
        for target in ("/publish/lobby", "/publish", "/publish/", "/publish/lobby?user=ann"):
            response = await publish(gateway.port, target, b"hello \xe2\x82\xac")
            assert (response.status, response.json) == (200, {"channel": "lobby", "gateways": 1})
        assert await lobby.receive(4) == ["hello \u20ac"] * 4
        for target in ("/publish/a/b:c", "/publish/a%2Fb:c", "/publish/a%2fb%3Ac"):
            assert (await publish(gateway.port, target, b"x")).json == {"channel": "a/b:c", "gateways": 1}
        assert await other.receive(3) == ["x"] * 3
    assert (gateway.counters.messages_received, gateway.counters.bytes_received) == (7, 39)
    assert (await publish(gateway.port, "/publish/nobody", b"")).json == {"channel": "nobody", "gateways": 0}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Content-Type: text/plain", "hi"),
        ("Content-Type: text/html; charset=UTF-8", "hi"),
        ("Content-Type: application/json", "hi"),
        ("Content-Type: application/octet-stream", b"hi"),
        ("Content-Type: image/png", b"hi"),
        ("X-No-Type: 1", b"hi"),
    ],
)
async def test_the_content_type_decides_between_text_and_binary(
    embedded: EmbeddedFactory, header: str, expected: str | bytes
) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/lobby") as (client,):
        assert (await publish(gateway.port, "/publish/lobby", b"hi", header)).status == 200
        assert await client.receive(1) == [expected]


@pytest.mark.parametrize(
    ("target", "body", "header", "status", "word"),
    [
        ("/publish/a%20b", b"x", "", 400, "white space"),
        ("/publish/%20control", b"x", "", 400, "white space"),
        ("/publish/a%zz", b"x", "", 400, "percent-encoding"),
        ("/publish/%ff", b"x", "", 400, "UTF-8"),
        ("/publish/%ED%A0%80", b"x", "", 400, "UTF-8"),
        ("/publish/" + "a" * 256, b"x", "", 400, "255"),
        ("/publish/a?user=%0a", b"x", "", 400, "user"),
        ("/publish/a?user=%ff", b"x", "", 400, "query"),
        ("/publish/a", b"\xff", "", 400, "octet-stream"),
        ("/publish/a", b"x", "Content-Type: text/plain; charset=latin-1", 415, "UTF-8"),
        ("/publish/a", b"x", "Content-Encoding: gzip", 415, "compressed"),
        ("/publish/a", b"x" * 101, "", 413, "101 bytes, more than 100"),
        ("/publishing/a", b"x", "", 404, "Nothing here"),
        ("//publish/a", b"x", "", 404, ""),
        ("/%70ublish/a", b"x", "", 404, "/publish/CHANNEL"),
    ],
)
async def test_a_refusal_says_why(
    embedded: EmbeddedFactory, target: str, body: bytes, header: str, status: int, word: str
) -> None:
    (gateway,) = await embedded(1, max_message_bytes=100)
    headers = [] if header.startswith("Content-Type") else ["Content-Type: text/plain"]
    response = await publish(gateway.port, target, body, *headers, *filter(None, [header]))
    assert response.status == status
    assert word in response.text
    assert gateway.counters.messages_published == 0


async def test_only_post_publishes(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for method in ("GET", "PUT", "DELETE"):
        response = await send_request(gateway.port, request("/publish/a", b"", method=method))
        assert (response.status, response.headers["allow"]) == (405, "POST, OPTIONS")
    assert gateway.counters.api_requests == {"http_publish 405": 3}
    assert "/publish/lobby" in (await get(gateway.port, "/nowhere")).text


async def test_without_a_bus_the_publisher_is_told_to_come_back(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", publish_timeout=0.1)
    response = await publish(gateway.port, "/publish/a", b"x")
    assert response.status == 503
    assert "not published" in response.text
    assert 1 <= int(response.headers["retry-after"]) <= 5
    assert gateway.counters.publish_failures == {"BUS_UNAVAILABLE": 1}


async def test_who_leaves_before_the_answer_leaves_nothing_behind(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", publish_timeout=0.2)
    before = asyncio.all_tasks()
    for count in range(1, 11):
        _reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request("/publish/a", b"x", "Content-Type: text/plain"))
        await wait_until(lambda count=count: gateway.counters.messages_received == count)
        writer.transport.abort()
    assert (await publish(gateway.port, "/publish/a", b"x")).status == 503
    parts = parts_of(gateway)
    await wait_until(lambda: not parts.front_door.sockets and asyncio.all_tasks() <= before)


async def test_pages_of_other_sites_need_a_setting(embedded: EmbeddedFactory) -> None:
    """A page could publish without asking before, if only its browser kept it from reading the answer."""
    (own,) = await embedded(1)
    (listed,) = await embedded(1, allowed_origins=("https://a.example",))
    head = (
        "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
        "Origin: {}\r\n\r\nhi"
    )
    for gateway, origin, status in (
        (own, "https://a.example", 403),
        (own, "http://localhost", 200),
        (listed, "https://a.example", 200),
        (listed, "https://b.example", 403),
    ):
        answer = await send_request(gateway.port, head.format(origin).encode())
        assert answer.status == status, (origin, answer)
        readable = "https://a.example" if origin == "https://a.example" and status == 200 else None
        assert answer.headers.get("access-control-allow-origin") == readable
    assert (own.counters.messages_received, listed.counters.messages_received) == (1, 1)


async def test_a_browser_may_ask_before_it_publishes(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, allowed_origins=("https://a.example",))
    asked = b"OPTIONS /publish/a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\nConnection: close\r\n\r\n"
    answer = await send_request(gateway.port, asked)
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "POST")


async def test_an_unknown_fate_is_not_called_unpublished(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: MemoryBroker, message: Message, source: Source, receipt: Receipt | None, key: str | None) -> bool:
        assert receipt is not None
        receipt(DeliveryUnknown("link lost"))
        return True

    (gateway,) = await embedded(1)
    monkeypatch.setattr(MemoryBroker, "publish", lose)
    response = await publish(gateway.port, "/publish/a", b"x")
    assert response.status == 504
    assert "may or may not" in response.text
    assert "retry-after" not in response.headers


async def test_an_address_that_publishes_too_often_is_refused_and_nothing_of_it_is_read(
    embedded: EmbeddedFactory,
) -> None:
    (gateway,) = await embedded(1, max_publishes_per_second=3, max_message_bytes=10)
    for _ in range(3):
        assert (await publish(gateway.port, "/publish/a", b"x")).status == 200
    # Not its path, not its body.
    response = await publish(gateway.port, "/publish/%ff", b"more bytes than a message may have")
    assert response.status == 429
    assert response.text == "too many messages were published from this address: it was not published\n"
    assert response.headers["retry-after"] == "1"
    assert gateway.counters.limits_reached == {"publishes": 1}
    assert gateway.counters.api_requests == {"http_publish 200": 3, "http_publish 429": 1}
    async with connected(f"{gateway.url}/ws/a") as (client,):
        await client.send("by a WebSocket, which has a rate of its own")

    async def published() -> bool:
        return (await publish(gateway.port, "/publish/a", b"x")).status == 200

    await wait_until(published)


async def test_a_namespace_may_have_a_largest_message_of_its_own(embedded: EmbeddedFactory) -> None:
    named = {"chat": ChannelOptions(max_message_bytes=10), "news": ChannelOptions()}
    (gateway,) = await embedded(1, max_message_bytes=20, namespaces=named)
    for path, size, status in (
        ("/publish/chat:1", 10, 200),
        ("/publish/chat:1", 11, 413),
        ("/publish/news:1", 20, 200),
        ("/publish/chat", 20, 200),
        ("/publish/chat", 21, 413),
    ):
        response = await publish(gateway.port, path, b"x" * size)
        assert response.status == status, (path, size)
    assert gateway.counters.messages_received == 3


async def test_addresses_behind_a_trusted_proxy_publish_at_rates_of_their_own(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_publishes_per_second=1, trusted_proxies=("127.0.0.1",))
    for address, status in (("198.51.100.1", 200), ("198.51.100.2", 200), ("198.51.100.1", 429)):
        response = await publish(gateway.port, "/publish/a", b"x", f"X-Forwarded-For: {address}")
        assert response.status == status


async def test_back_ends_on_a_private_network_publish_at_any_rate_by_default(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.settings.limits.PUBLISHES_PER_SECOND", 1)
    (gateway,) = await embedded(1)
    for _ in range(5):
        assert (await publish(gateway.port, "/publish/a", b"x")).status == 200


@pytest.mark.parametrize(
    "header",
    [
        '"a \\"key\\" \\\\"',
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
        '"8e03978e-40d5-43dd-bc93-6894a57f9324"  ',
        "a:b/c==",
    ],
)
async def test_a_message_with_a_known_key_is_not_published_again(embedded: EmbeddedFactory, header: str) -> None:
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/lobby") as (client,):
        for text in (b"first", b"again"):
            response = await publish(gateway.port, "/publish/lobby", text, TEXT, f"Idempotency-Key: {header}")
            assert (response.status, response.json) == (200, {"channel": "lobby", "gateways": 1})
        assert (await publish(gateway.port, "/publish/lobby", b"without", TEXT)).status == 200
        assert await client.receive(2) == ["first", "without"]
    assert gateway.counters.messages_repeated == 1


async def test_keys_of_one_user_are_not_those_of_another_nor_of_a_back_end(embedded: EmbeddedFactory) -> None:
    """Who chooses another's key would keep its message from being published."""
    (gateway,) = await embedded(1, api_keys=KEY)
    key = "Idempotency-Key: k"
    async with connected(f"{gateway.url}/ws/lobby") as (client,):
        for target in ("/publish/lobby", "/publish/lobby?user=ann", "/publish/lobby?user=bob") * 2:
            assert (await publish(gateway.port, target, target.encode(), TEXT, key)).status == 200
        await call(gateway.port, "publish", {"channel": "lobby", "data": 1, "idempotency_key": "k"})
        assert await client.receive(4) == [
            "/publish/lobby", "/publish/lobby?user=ann", "/publish/lobby?user=bob", "1"
        ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        ["Idempotency-Key: "],
        ['Idempotency-Key: ""'],
        ['Idempotency-Key: "a'],
        ['Idempotency-Key: a"'],
        ['Idempotency-Key: "a\\b"'],
        ['Idempotency-Key: "a", "b"'],
        ['Idempotency-Key: "a";b=1'],
        ["Idempotency-Key: a b"],
        ["Idempotency-Key: a,b"],
        ["Idempotency-Key: \u00e9"],
        ['Idempotency-Key: "\u00e9"'],
        ["Idempotency-Key: " + "k" * 256],
        ["Idempotency-Key: a", "Idempotency-Key: a"],
    ],
)
async def test_a_message_whose_key_is_malformed_is_not_published(embedded: EmbeddedFactory, headers: list[str]) -> None:
    """Its sender would take it for one that can be sent again."""
    (gateway,) = await embedded(1)
    response = await publish(gateway.port, "/publish/lobby", b"x", TEXT, *headers)
    assert (response.status, "Idempotency-Key" in response.text) == (400, True), response.text
    assert gateway.counters.messages_published == 0


async def test_the_answer_has_the_position_where_there_is_one(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces={"kept": ChannelOptions(history_size=5)})
    positions = []
    for key in ("a", "b", "b"):
        response = await publish(gateway.port, "/publish/kept:a", b"x", TEXT, f"Idempotency-Key: {key}")
        assert set(response.json) == {"channel", "gateways", "position"}
        positions.append(parse_position(response.json["position"]))
    assert [position.offset for position in positions] == [1, 2, 2]
    assert len({position.epoch for position in positions}) == 1
