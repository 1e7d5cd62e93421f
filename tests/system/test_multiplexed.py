"""A protocol of its own, over real sockets: nothing of `relay/` knows it but by its registration."""

from __future__ import annotations

import asyncio

import pytest

from relay.limits.channels import DEFAULT_CHANNELS
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.multiplexed_client import MultiplexedClient, RequestError, multiplexed
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected
from tests.protocols.multiplexed import NAME
from tests.system.multiplexed_pair import Pair, url_of
from tests.system.multiplexed_pair import _registered as _registered
from tests.system.multiplexed_pair import pair as pair


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
