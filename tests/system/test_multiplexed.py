"""A protocol of its own, over real sockets: nothing of `relay/` knows it but by its registration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from relay import Gateway, protocols
from relay.limits.channels import DEFAULT_CHANNELS
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.multiplexed_client import MultiplexedClient, RequestError, multiplexed
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected
from tests.protocols.multiplexed import NAME

MODULE = "tests.protocols.multiplexed"

Pair = Callable[..., Awaitable[tuple[Gateway, Gateway]]]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a protocol needs: a path, or a name."""
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", MODULE)
    monkeypatch.setitem(protocols.ENDPOINTS, NAME, MODULE)


@pytest.fixture
def pair(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> Pair:
    """Two gateways over one Redis: `await pair(...)`, with settings."""

    async def start(**settings: object) -> tuple[Gateway, Gateway]:
        given = {"broker_url": redis_server.url, "broker_prefix": prefix, **settings}
        one, other = await embedded(2, **given)
        await wait_until(lambda: one.ready and other.ready)
        return one, other

    return start


def url_of(gateway: Gateway) -> str:
    """Return where clients of the protocol connect."""
    return f"{gateway.url}/multiplexed"


async def test_what_is_published_on_one_gateway_arrives_on_the_other(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here), url_of(there), url_of(there)) as (publisher, listener, other):
        await listener.subscribe("news", "sport")
        await other.subscribe("sport")
        for number in range(100):
            await publisher.publish(("news", "sport")[number % 2], {"number": number})
        assert await listener.receive(100) == [(("news", "sport")[n % 2], {"number": n}) for n in range(100)]
        assert await other.receive(50) == [("sport", {"number": n}) for n in range(1, 100, 2)]
        assert publisher.received == []


async def test_a_client_comes_by_the_name_of_the_protocol_wherever_it_comes_to(pair: Pair) -> None:
    here, _ = await pair(subprotocols=("chat",))
    client = await MultiplexedClient.connect(f"{here.url}/ws/anything", NAME)
    try:
        assert client.connection.subprotocol == NAME
        await client.subscribe("news")
        await client.publish("news", 1)
        assert await client.receive(1) == [("news", 1)]
    finally:
        await client.abort()
    async with RawWebSocket(here.port) as raw:
        response = await raw.upgrade("/multiplexed?echo=1")
        assert (response.status, response.text) == (400, "this protocol has no parameters\n")


async def test_it_shares_its_channels_with_clients_of_other_protocols(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here)) as (client,), connected(f"{there.url}/ws/news") as (plain,):
        await client.subscribe("news")
        await client.publish("news", [1, 2])
        assert await plain.receive(1) == ["[1, 2]"]
        await plain.send('{"a":"b"}')
        await plain.send("no JSON")
        assert await client.receive(3) == [("news", [1, 2]), ("news", {"a": "b"}), ("news", "no JSON")]


@pytest.mark.usefixtures("each_fan_out")
async def test_nothing_is_delivered_after_the_answer_to_an_unsubscription(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here), url_of(there)) as (publisher, listener):
        await listener.subscribe("news", "other")
        await publisher.publish("news", 1)
        await listener.receive(1)
        await listener.unsubscribe("news")
        await publisher.publish("news", 2)
        await publisher.publish("other", 3)
        assert await listener.receive(2) == [("news", 1), ("other", 3)]
        with pytest.raises(RequestError, match="not subscribed"):
            await listener.unsubscribe("news")
        await listener.subscribe("news")
        await publisher.publish("news", 4)
        assert (await listener.receive(3))[2] == ("news", 4)


async def test_unsubscribing_under_fire_ends_the_delivery_at_once(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here), url_of(there)) as (publisher, listener):
        await listener.subscribe("news")
        answers = [await publisher.begin(publish={"channel": "news", "data": n}) for n in range(500)]
        await listener.receive(1)
        await listener.unsubscribe("news")
        count = len(listener.received)
        await asyncio.wait(answers)
        await listener.subscribe("later")
        await publisher.publish("later", "end")
        await wait_until(lambda: listener.received[-1][0] == "later")
        assert len(listener.received) == count + 1
        assert listener.received[:count] == [("news", n) for n in range(count)]


async def test_a_client_has_so_many_subscriptions_and_no_more(pair: Pair) -> None:
    here, _ = await pair()
    async with multiplexed(url_of(here)) as (client,):
        names = [f"c{number}" for number in range(DEFAULT_CHANNELS.most)]
        await client.subscribe(*names)
        with pytest.raises(RequestError, match=str(DEFAULT_CHANNELS.most)):
            await client.subscribe("one-more")
        assert parts_of(here).context.node.channels == DEFAULT_CHANNELS.most
        await client.unsubscribe("c7")
        await client.subscribe("one-more")
        await client.publish("one-more", 1)
        assert await client.receive(1) == [("one-more", 1)]


@pytest.mark.parametrize("name", ["", "a b", "x" * 256, "\0control"])
async def test_a_bad_name_is_an_error_of_the_request(pair: Pair, name: str) -> None:
    here, _ = await pair()
    async with multiplexed(url_of(here)) as (client,):
        with pytest.raises(RequestError):
            await client.subscribe(name)
        with pytest.raises(RequestError):
            await client.publish(name, 1)
        await client.subscribe("a")


async def test_a_back_end_unsubscribes_and_disconnects(pair: Pair) -> None:
    here, there = await pair(api_keys=(KEY,))
    async with multiplexed(f"{url_of(here)}?user=ann", f"{url_of(there)}?user=bob") as (ann, bob):
        for client in (ann, bob):
            await client.subscribe("news", "sport")
        assert await call(there.port, "unsubscribe", {"user": "ann", "channel": "news"}) == {"result": {}}
        await wait_until(lambda: ann.pushes)
        assert ann.pushes == [{"unsubscribed": "news"}]
        await bob.publish("news", 1)
        await bob.publish("sport", 2)
        assert await ann.receive(1) == [("sport", 2)]
        assert await bob.receive(2) == [("news", 1), ("sport", 2)]
        info = await call(here.port, "info", {})
        assert sorted(node["num_subs"] for node in info["result"]["nodes"]) == [1, 2]
        await call(here.port, "disconnect", {"user": "bob"})
        assert await bob.ended() == (4500, "force disconnect")
        await call(here.port, "disconnect", {"user": "ann", "disconnect": {"code": 4999, "reason": "go"}})
        assert await ann.ended() == (4999, "go")
        assert bob.pushes == [{"closing": "force disconnect"}]


@pytest.mark.parametrize("said", ["nonsense", b"{}", '{"id":1}', '{"id":1,"subscribe":3}', "[" * 50_000])
async def test_what_is_no_command_closes_with_the_code_of_the_protocol(pair: Pair, said: str | bytes) -> None:
    """And what came before has its answer."""
    here, _ = await pair()
    async with multiplexed(url_of(here)) as (client,):
        answer = await client.begin(subscribe="news")
        await answer
        last = await client.begin(unsubscribe="news")
        await client.connection.send(said)
        assert await client.ended() == (4004, "unexpected data")
        await last
        assert here.counters.disconnects == {"UNEXPECTED_DATA": 1}
        assert here.counters.connections_closed == {4004: 1}


async def flood(publisher: MultiplexedClient, healthy: MultiplexedClient, channel: str, count: int) -> None:
    """Publish large messages, not faster than a healthy client reads them."""
    before = len(healthy.received)
    for number in range(count):
        await publisher.publish(channel, [number, "x" * 32_000])
        await healthy.receive(before + number + 1)


async def stalled(stack_client: RawWebSocket, *channels: str) -> None:
    """Subscribe a client, and let it read nothing from then on."""
    assert (await stack_client.upgrade("/multiplexed")).status == 101
    for number, name in enumerate(channels):
        await stack_client.send_frame(TEXT, json.dumps({"id": number + 1, "subscribe": name}).encode())
        assert json.loads((await stack_client.frame()).payload) == {"id": number + 1, "ok": True}


@pytest.mark.usefixtures("each_fan_out")
async def test_a_slow_client_is_closed_with_the_code_of_the_protocol(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that it may read at the machine's pace what stands before its close frame.
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 60.0)
    here, there = await pair(send_buffer_bytes=500_000)
    async with (
        multiplexed(url_of(there), url_of(here)) as (publisher, healthy),
        RawWebSocket(here.port, receive_buffer=4096) as slow,
    ):
        await healthy.subscribe("a", "b")
        await stalled(slow, "a", "b")
        await flood(publisher, healthy, "a", 100)
        await flood(publisher, healthy, "b", 100)
        await wait_until(lambda: here.counters.disconnects["SLOW_CONSUMER"] == 1)
        frames = await slow.frames_to_the_end()
        assert close_of(frames[-1]) == (4002, "slow consumer")
        assert json.loads(frames[-2].payload) == {"closing": "slow consumer"}
        numbers = [json.loads(frame.payload)["data"][0] for frame in frames[:-2]]
        assert numbers == list(range(len(numbers)))
        assert healthy.is_open
        assert here.counters.deliveries_dropped > 0
    await wait_until(lambda: here.counters.connections_open == 0)


async def test_a_client_that_asks_and_does_not_read_is_closed_whatever_the_policy(pair: Pair) -> None:
    """Answers must not be left out, and must not fill the memory."""
    here, _ = await pair(send_buffer_bytes=70_000, slow_consumer="drop")
    async with RawWebSocket(here.port, receive_buffer=4096) as slow:
        await stalled(slow)
        request = json.dumps({"id": 1, "unsubscribe": "x" * 200}).encode()
        asking = asyncio.create_task(ask_for_ever(slow, request))
        await wait_until(lambda: here.counters.disconnects["SLOW_CONSUMER"] == 1)
        asking.cancel()
        await asyncio.wait([asking])
        assert here.counters.deliveries_dropped == here.counters.bytes_dropped == 0


async def ask_for_ever(client: RawWebSocket, request: bytes) -> None:
    """Send requests, and read no answers."""
    while True:
        await client.send_frame(TEXT, request)
        await asyncio.sleep(0)


@pytest.mark.usefixtures("each_fan_out")
async def test_a_drain_closes_with_the_code_of_the_protocol_behind_everything_else(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here), url_of(there)) as (client, other):
        await client.subscribe("a", "b")
        await other.subscribe("a")
        answers = [await client.begin(publish={"channel": "ab"[n % 2], "data": n}) for n in range(200)]
        await wait_until(lambda: here.counters.messages_received >= 1)
        accepted = await drained(here, client)
        assert client.pushes == [{"closing": "going away"}]
        done = [answer for answer in answers if answer.done() and not answer.cancelled()]
        # What crosses the close frame is published, and can't be answered any more.
        assert 0 < len(done) <= accepted
        assert done == answers[: len(done)]
        assert all(answer.exception() is None for answer in done)
        for first, name in enumerate("ab"):
            numbers = [number for channel, number in client.received if channel == name]
            assert numbers == list(range(first, first + 2 * len(numbers), 2))
        assert await other.receive(accepted // 2) == [("a", n) for n in range(0, accepted // 2 * 2, 2)]


async def drained(gateway: Gateway, client: MultiplexedClient) -> int:
    """Drain a gateway; return how many messages it has published."""
    await gateway.drain()
    assert await client.ended() == (4001, "going away")
    return gateway.counters.messages_received


async def test_its_own_pings_keep_clients_and_find_those_that_have_gone(pair: Pair) -> None:
    here, _ = await pair(ping_interval=0.5, ping_timeout=0.3)
    silent = await MultiplexedClient.connect(url_of(here), pongs=False)
    async with multiplexed(url_of(here)) as (client,):
        assert await silent.ended() == (4003, "keepalive timeout")
        assert silent.pings == 1
        await wait_until(lambda: client.pings >= 4)
        assert client.is_open
    assert here.counters.disconnects == {"KEEPALIVE_TIMEOUT": 1}


async def test_a_client_that_leaves_while_the_bus_is_silent_leaves_nothing(
    embedded: EmbeddedFactory, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, broker_timeout=60)
    await wait_until(lambda: gateway.ready)
    node = parts_of(gateway).context.node
    interests = node.interests
    async with leaving_nothing(gateway):
        client = await MultiplexedClient.connect(url_of(gateway))
        own_redis.pause()
        answers = [await client.begin(subscribe=f"c{number}") for number in range(50)]
        await wait_until(lambda: node.interests == interests + 50)
        futures = [node._broker.subscribe(f"c{number}") for number in range(50)]
        assert all(future._callbacks for future in futures)
        await client.abort()
        assert all(answer.cancelled() for answer in answers)
    assert not any(future._callbacks for future in futures)
    await wait_until(lambda: node.interests == interests)
    assert node.hub.channels == []
    own_redis.resume()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_subscription_that_the_bus_does_not_acknowledge_in_time_is_an_error(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, broker_timeout=0.5)
    await wait_until(lambda: gateway.ready)
    async with multiplexed(url_of(gateway)) as (client,):
        own_redis.pause()
        with pytest.raises(RequestError, match="not acknowledge it in time"):
            await client.subscribe("news")
        assert client.is_open
        own_redis.resume()
        await wait_until(lambda: gateway.ready)
        await client.subscribe("news")
        await client.publish("news", 1)
        assert await client.receive(1) == [("news", 1)]


async def test_a_subscription_that_redis_refuses_is_an_error(embedded: EmbeddedFactory, own_redis: RedisServer) -> None:
    url = own_redis.add_user("narrow", "pw", "+@all ~* resetchannels &relay:*")
    own_redis.allow("narrow", "resetchannels", "&relay:open*", "&relay:\x01*", "&relay:*probe*", "&relay:*control*")
    (gateway,) = await embedded(1, broker_url=url)
    async with multiplexed(url_of(gateway)) as (client,):
        with pytest.raises(RequestError, match="the bus refused it"):
            await client.subscribe("closed")
        with pytest.raises(RequestError, match="refused by the bus"):
            await client.publish("closed", 1)
        await client.subscribe("open")
        await client.publish("open", 1)
        assert await client.receive(1) == [("open", 1)]
        assert client.is_open


async def test_a_publication_that_the_bus_does_not_take_is_an_error_and_the_client_stays(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=0.3, broker_timeout=0.5)
    await wait_until(lambda: gateway.ready)
    async with multiplexed(url_of(gateway), url_of(gateway)) as (client, other):
        await client.subscribe("news")
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for number in range(3):
            with pytest.raises(RequestError, match="bus unavailable"):
                await client.publish("news", number)
        with pytest.raises(RequestError, match="not acknowledge it in time"):
            await client.subscribe("other")
        await client.unsubscribe("news")
        own_redis.start()
        await wait_until(lambda: gateway.ready)
        await client.subscribe("news")
        await other.publish("news", "here again")
        await client.publish("news", "me too")
        assert await client.receive(2) == [("news", "here again"), ("news", "me too")]
        assert gateway.counters.publish_failures == {"BUS_UNAVAILABLE": 3}
        assert not gateway.counters.disconnects


async def test_what_is_published_while_the_bus_is_away_is_bounded(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    """Messages whose publishers are answered count for the clients' share, as all messages of clients do."""
    buffer = 1_000_000
    (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=60, publish_buffer_bytes=buffer)
    await wait_until(lambda: gateway.ready)
    node = parts_of(gateway).context.node
    async with multiplexed(*[url_of(gateway)] * 10) as clients:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        request = {"channel": "news", "data": "x" * 50_000}
        sending = [asyncio.create_task(publish_often(client, request, 40)) for client in clients]
        await wait_until(lambda: node.congested or node.paused_publishers == 10)
        assert await stays_true(lambda: sum(node.bus.buffered.values()) < buffer, 0.3)
        assert sum(node.bus.buffered.values()) > 10 * 50_000, "all of it is counted"
        own_redis.start()
        await asyncio.gather(*sending)
    assert gateway.counters.messages_published == 400


async def publish_often(client: MultiplexedClient, request: object, count: int) -> None:
    """Send requests to publish, and wait for all their answers."""
    answers = [await client.begin(publish=request) for _ in range(count)]
    await asyncio.wait(answers)
    for answer in answers:
        answer.result()
