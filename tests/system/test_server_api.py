"""The server API over two gateways and one Redis, called by Centrifugo's own Python client."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cent import (
    AsyncClient,
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    ChannelsRequest,
    Client,
    ConnectionsRequest,
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)

from relay.brokers import BrokerOptions
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.presence_events import come, member
from tests.brokers.recording import Station
from tests.conftest import GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected


@pytest.fixture(scope="module")
def pair(redis_server: RedisServer) -> Iterator[list[GatewayProcess]]:
    """Two gateways with the API on; tests leave them as they were."""
    settings = {"broker_url": redis_server.url, "broker_prefix": "server-api:", "api_keys": KEY}
    settings["namespaces"] = '{"chat": {"history_size": 100, "presence": true}, "room": {"presence": true}}'
    gateways = [GatewayProcess(**settings, event_loop=loop) for loop in ("uvloop", "asyncio")]
    try:
        for gateway in gateways:
            gateway.start_blocking()
        yield gateways
    finally:
        end(gateways)


def url_of(gateway: GatewayProcess) -> str:
    """Return where a back end finds the API."""
    return f"http://127.0.0.1:{gateway.port}/api"


async def test_the_async_client_runs_unchanged(pair: list[GatewayProcess], channel: str) -> None:
    here, there = pair
    client = AsyncClient(url_of(here), KEY)
    urls = [f"{gateway.url}/ws/{channel}?user=ann" for gateway in pair]
    try:
        async with connected(*urls, f"{there.url}/ws/{channel}") as (a, b, other):
            await client.publish(PublishRequest(channel=channel, data={"text": "hi"}))
            await client.publish(PublishRequest(channel=channel, data=None, b64data="AAE="))
            result = await client.broadcast(BroadcastRequest(channels=[channel, "a b"], data=1))
            assert result.responses[0].error is None
            assert result.responses[1].error is not None
            for listener in (a, b, other):
                text, binary, number = await listener.receive(3)
                assert (text, binary, number) == ('{"text":"hi"}', b"\x00\x01", "1") or text == '{"text": "hi"}'
            channels = await client.channels(ChannelsRequest(pattern=f"{channel}*"))
            assert channels.channels[channel].num_clients == 3
            info = await client.info(InfoRequest())
            assert sorted(node.name.rpartition(":")[2] for node in info.nodes) == sorted(str(g.port) for g in pair)
            assert sum(node.num_clients for node in info.nodes) == 3
            await client.unsubscribe(UnsubscribeRequest(user="ann", channel="elsewhere"))
            await client.subscribe(SubscribeRequest(user="ann", channel="elsewhere", info={"a": 1}, data=[2]))
            await client.refresh(RefreshRequest(user="ann", expire_at=4_102_444_800))
            batch = await client.batch(
                BatchRequest(
                    requests=[
                        PublishRequest(channel=channel, data=2),
                        BroadcastRequest(channels=[channel], data=3),
                        ChannelsRequest(pattern=channel),
                        DisconnectRequest(user="ann", disconnect=Disconnect(code=4001, reason="enough")),
                    ]
                )
            )
            assert len(batch.replies) == 4
            for ann in (a, b):
                assert await ann.ended() == (4001, "enough")
                assert ann.received[-2:] == ["2", "3"]
            assert other.is_open
    finally:
        await client.close()


async def test_the_sync_client_runs_unchanged(pair: list[GatewayProcess], channel: str) -> None:
    here, there = pair
    async with connected(f"{there.url}/ws/{channel}?user=bob", f"{there.url}/ws/{channel}") as (bob, other):

        def back_end() -> None:
            client = Client(url_of(here), KEY)
            try:
                client.publish(PublishRequest(channel=channel, data="hello"))
                client.broadcast(BroadcastRequest(channels=[channel], data=[1]))
                assert client.channels(ChannelsRequest(pattern=channel)).channels[channel].num_clients == 2
                assert len(client.info(InfoRequest()).nodes) == 2
                assert len(client.batch(BatchRequest(requests=[PublishRequest(channel=channel, data=2)])).replies) == 1
                client.unsubscribe(UnsubscribeRequest(user="bob", channel=channel))
                client.disconnect(DisconnectRequest(user="nobody"))
            finally:
                client.close()

        await asyncio.to_thread(back_end)
        assert await bob.ended() == (4500, "unsubscribed")
        assert await other.receive(3) == ['"hello"', "[1]", "2"]


async def test_a_history_is_read_and_removed_unchanged(pair: list[GatewayProcess], channel: str) -> None:
    """By the other gateway than the one that published; and both forget what was removed."""
    here, there = pair
    name = f"chat:{channel}"
    one, other = AsyncClient(url_of(here), KEY), AsyncClient(url_of(there), KEY)
    urls = [f"{gateway.url}/ws/{name}?history=9" for gateway in pair]
    try:
        async with connected(*urls) as listeners:
            first = await one.publish(PublishRequest(channel=name, data={"n": 1}, idempotency_key="one"))
            assert (first.offset, len(first.epoch) > 8) == (1, True)
            # A retry at another gateway.
            again = await other.publish(PublishRequest(channel=name, data={"n": 1}, idempotency_key="one"))
            assert again == first
            await one.publish(PublishRequest(channel=name, data=None, b64data="AAE="))
            broadcast = await one.broadcast(BroadcastRequest(channels=[name], data=3))
            assert broadcast.responses[0].result is not None
            assert broadcast.responses[0].result.offset == 3
            for listener in listeners:
                assert await listener.receive(3) == ['{"n": 1}', b"\x00\x01", "3"]
            position = await other.history(HistoryRequest(channel=name))
            assert (position.publications, position.offset, position.epoch) == ([], 3, first.epoch)
            result = await other.history(HistoryRequest(channel=name, limit=10))
            assert [(found.offset, found.data) for found in result.publications] == [(1, {"n": 1}), (2, None), (3, 3)]
            since = StreamPosition(offset=1, epoch=first.epoch)
            result = await other.history(HistoryRequest(channel=name, limit=1, since=since))
            assert [found.offset for found in result.publications] == [2]
            result = await other.history(HistoryRequest(channel=name, limit=1, reverse=True))
            assert [found.offset for found in result.publications] == [3]
            with pytest.raises(CentApiResponseError) as error:
                await other.history(HistoryRequest(channel=name, since=StreamPosition(offset=1, epoch="_")))
            assert error.value.code == 112
            batch = await one.batch(BatchRequest(requests=[HistoryRemoveRequest(channel=name)] * 2))
            assert len(batch.replies) == 2
            assert (await other.history(HistoryRequest(channel=name, limit=10))).publications == []
            await one.publish(PublishRequest(channel=name, data=4))
            for listener in listeners:  # its gateway has been told of the removal before
                assert (await listener.receive(4))[3] == "4"
            async with connected(*urls) as newcomers:
                for newcomer in newcomers:
                    assert await newcomer.receive(1) == ["4"]
    finally:
        await one.close()
        await other.close()


async def test_presence_is_read_unchanged(pair: list[GatewayProcess], redis_server: RedisServer, channel: str) -> None:
    name = f"room:{channel}"
    namespaces = Namespaces(named={"room": ChannelOptions(presence=True)})
    third = Station(BrokerOptions(redis_server.url, "server-api:", namespaces=namespaces))
    client = AsyncClient(url_of(pair[0]), KEY)
    ann, eve = member(1, "ann", b'{"color": "red"}'), member(2)
    try:
        assert (await client.presence(PresenceRequest(channel=name))).presence == {}
        await third.broker.presence.update([come(name, ann, eve)])
        found = (await client.presence(PresenceRequest(channel=name))).presence
        assert {(id, info.client, info.user) for id, info in found.items()} == {
            (ann.client, ann.client, "ann"),
            (eve.client, eve.client, ""),
        }
        assert (found[ann.client].conn_info, found[eve.client].conn_info) == ({"color": "red"}, None)
        stats = await client.presence_stats(PresenceStatsRequest(channel=name))
        assert (stats.num_clients, stats.num_users) == (2, 2)
        requests = [PresenceRequest(channel=name), PresenceStatsRequest(channel=name)]
        assert len((await client.batch(BatchRequest(requests=requests))).replies) == 2
    finally:
        await client.close()
        await third.broker.stop()


async def test_what_is_not_available_is_an_error_of_the_clients_own(pair: list[GatewayProcess]) -> None:
    client = AsyncClient(url_of(pair[0]), KEY)
    stranger = AsyncClient(url_of(pair[0]), "not-the-right-key")
    try:
        for refused in (
            client.presence(PresenceRequest(channel="a")),
            client.presence_stats(PresenceStatsRequest(channel="a")),
            client.history(HistoryRequest(channel="lobby", limit=1)),
            client.history_remove(HistoryRemoveRequest(channel="lobby")),
            client.subscribe(SubscribeRequest(user="ann", channel="a", session="s")),
            client.refresh(RefreshRequest(user="ann", session="s")),
            client.connections(ConnectionsRequest(user="", expression="")),
        ):
            with pytest.raises(CentApiResponseError) as error:
                await refused
            assert error.value.code == 108
        with pytest.raises(CentUnauthorizedError):
            await stranger.info(InfoRequest())
    finally:
        await client.close()
        await stranger.close()


async def test_a_client_is_reached_by_its_id_on_whatever_gateway(
    gateways: GatewayFactory, own_redis: RedisServer
) -> None:
    here, there = await gateways(2, broker_url=own_redis.url, api_keys=KEY, log_level="debug")
    url = f"{there.url}/ws/a"
    async with connected(url) as (a,), connected(url) as (b,):
        await wait_until(lambda: len(there.records("connected")) == 2)
        ids = [record["client"] for record in there.records("connected")]
        assert all(len(id) == 32 for id in ids)
        await call(here.port, "disconnect", {"client": ids[0]})
        assert await a.ended() == (3503, "force disconnect")
        await call(here.port, "unsubscribe", {"client": ids[1], "channel": "a"})
        assert await b.ended() == (4500, "unsubscribed")


PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the examples of the API's page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def test_the_python_examples_of_the_page_work(pair: list[GatewayProcess]) -> None:
    source = "".join(blocks("python")).replace("localhost:8000", f"127.0.0.1:{pair[0].port}").replace("the key", KEY)
    assert source.count("client.") >= 7
    # An assertion on no more than this: an error of the API is an exception here.
    await asyncio.to_thread(exec, source + "client.close()", {})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_shell_examples_of_the_page_work(pair: list[GatewayProcess]) -> None:
    _turning_on, function, *examples = blocks("sh")
    lines = [line for example in examples for line in example.splitlines()]
    for line in lines:
        script = f"{function}\n{line}".replace("localhost:8000", f"127.0.0.1:{pair[0].port}")
        done = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", script], env={**os.environ, "RELAY_API_KEYS": KEY}, capture_output=True
        )
        assert done.stdout.startswith((b'{"result":', b'{"replies":')), (line, done)
    assert len(lines) == 18
