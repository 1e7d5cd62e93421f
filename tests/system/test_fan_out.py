"""A message reaches every other client of its channel, on every gateway, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from relay import AsyncPublisher, Publisher
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.fan_outs import EACH_FAN_OUT, each_fan_out_and_loop
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import Payload
from tests.harness.raw_websocket import PING, PONG, TEXT, Frame, RawWebSocket
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

each_cluster = pytest.mark.parametrize("cluster", EACH_FAN_OUT, indirect=True)


def one_on_each(gateways: list[GatewayProcess], channel: str, query: str = "") -> list[str]:
    """Return an address of the channel on each gateway."""
    return [f"{gateway.url}/ws/{channel}{query}" for gateway in gateways]


async def all_got(clients: list[WebSocketClient], *messages: Payload) -> None:
    """Check that each client has received exactly these messages."""
    for client in clients:
        assert await client.receive(len(messages)) == list(messages)


@pytest.mark.parametrize("message", ["grüße 🎈", b"\x00\xff\r\n", "", b""])
@pytest.mark.parametrize("count", [2, 3])
@each_cluster
async def test_a_message_reaches_the_others_everywhere_with_its_kind(
    cluster: list[GatewayProcess], channel: str, message: Payload, count: int
) -> None:
    gateways = cluster[:count]
    async with connected(*one_on_each(gateways, channel) * 2) as clients:
        sender, *others = clients
        await sender.send(message)
        await all_got(others, message)
        assert [type(client.received[0]) for client in others] == [type(message)] * len(others)


@each_cluster
async def test_a_sender_never_hears_itself(cluster: list[GatewayProcess], channel: str) -> None:
    async with connected(*one_on_each(cluster, channel)) as (sender, *others):
        for number in range(20):
            await sender.send(f"{number}")
        await all_got(others, *(f"{number}" for number in range(20)))
        # What comes later shows that nothing of the above was still on its way to the sender.
        await others[0].send("last")
        assert await sender.receive(1) == ["last"]


@each_cluster
async def test_a_sender_with_echo_hears_itself_in_the_common_order(cluster: list[GatewayProcess], channel: str) -> None:
    urls = [
        f"{cluster[0].url}/ws/{channel}?echo=1",
        f"{cluster[0].url}/ws/{channel}?echo=0",
        *one_on_each(cluster, channel),
    ]
    async with connected(*urls) as (sender, *others):
        messages = [f"{number}" for number in range(20)]
        for message in messages:
            await sender.send(message)
        await all_got([sender, *others], *messages)


@each_cluster
async def test_channels_do_not_mix(cluster: list[GatewayProcess], channel: str) -> None:
    other = channel + ":other"
    async with (
        connected(*one_on_each(cluster, channel)) as (sender, *here),
        connected(*one_on_each(cluster, other)) as (elsewhere, *there),
    ):
        await sender.send("here")
        await elsewhere.send("there")
        await all_got(here, "here")
        await all_got(there, "there")


@each_cluster
async def test_root_paths_are_the_default_channel(cluster: list[GatewayProcess]) -> None:
    one, two, three = (gateway.url for gateway in cluster)
    async with connected(f"{one}/", f"{two}/ws", f"{three}/ws/", f"{one}/ws/lobby") as (sender, *others):
        await sender.send("in the lobby")
        await all_got(others, "in the lobby")


@each_cluster
async def test_a_channel_is_percent_decoded(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    name = f"{channel}/é:%"
    async with connected(
        f"{cluster[0].url}/ws/{channel}/%C3%A9%3a%25", f"{cluster[1].url}/ws/{channel}%2F%C3%A9:%25"
    ) as (
        one,
        two,
    ):
        assert redis_server.subscriptions(f"relay:{name}") == 2
        await one.send("same")
        await all_got([two], "same")


@each_cluster
async def test_a_plain_publish_to_redis_reaches_everyone(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    async with connected(*one_on_each(cluster, channel)) as clients:
        assert redis_server.admin.publish(f"relay:{channel}", "hello") == 3
        assert redis_server.admin.publish(f"relay:{channel}", b"\xfe\x00") == 3
        await all_got(clients, "hello", b"\xfe\x00")


@each_cluster
async def test_publishers_of_back_ends_reach_everyone(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    async with connected(*one_on_each(cluster, channel)) as clients:
        with Publisher(redis_server.url) as publisher:
            assert publisher.publish(channel, "text") == 3
        async with AsyncPublisher(redis_server.url) as publisher:
            assert await publisher.publish(channel, b"bytes") == 3
        await all_got(clients, "text", b"bytes")


@each_cluster
async def test_a_client_that_is_connected_misses_nothing(cluster: list[GatewayProcess], channel: str) -> None:
    """The handshake completes after Redis has acknowledged: what is sent right after it arrives."""
    for number in range(30):
        name = f"{channel}-{number}"
        async with connected(f"{cluster[0].url}/ws/{name}") as (sender,):
            receiver = await WebSocketClient.connect(f"{cluster[1 + number % 2].url}/ws/{name}")
            await sender.send("first")
            assert await receiver.receive(1) == ["first"]
            await receiver.close()


@pytest.mark.usefixtures("each_fan_out")
async def test_a_welcome_is_the_first_message(
    redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory
) -> None:
    one, two = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix, welcome="grüß Gott")
    async with connected(f"{one.url}/", f"{two.url}/") as clients:
        for client in clients:
            assert await client.receive(1) == ["grüß Gott"]
        await clients[0].send("hello")
        assert await clients[1].receive(2) == ["grüß Gott", "hello"]
    async with RawWebSocket(one.port) as raw:
        await raw.upgrade("/")
        assert await raw.frame() == Frame(TEXT, "grüß Gott".encode())


@pytest.mark.usefixtures("each_fan_out")
async def test_one_gateway_alone_needs_no_redis(gateways: GatewayFactory, embedded: EmbeddedFactory) -> None:
    (process,), (inside,) = await gateways(1, event_loop="uvloop"), await embedded(1)
    for url in (process.url, inside.url):
        async with connected(*[f"{url}/ws/a"] * 3, f"{url}/ws/b") as (sender, *others, stranger):
            await sender.send("alone")
            await all_got(others, "alone")
            await stranger.send("elsewhere")
            await stranger.flushed()
            assert sender.received == stranger.received == []


@each_cluster
async def test_sending_to_clients_that_leave_is_no_error(cluster: list[GatewayProcess], channel: str) -> None:
    async with connected(*one_on_each(cluster, channel) * 2) as (sender, *others):
        stays, *leavers = others

        async def leave(client: WebSocketClient, number: int) -> None:
            await client.receive(number)
            await (client.abort() if number % 2 else client.close())

        leaving = [asyncio.create_task(leave(client, 5 * number)) for number, client in enumerate(leavers, 1)]
        for number in range(100):
            await sender.send(f"{number}")
        await all_got([stays], *(f"{number}" for number in range(100)))
        await asyncio.gather(*leaving)
    assert not [line for gateway in cluster for line in gateway.complaints()]


@each_fan_out_and_loop
@pytest.mark.usefixtures("each_fan_out")
async def test_pongs_and_own_messages_never_stand_within_a_message(gateways: GatewayFactory, event_loop: str) -> None:
    """For a client that reads slowly, so that its socket takes parts of messages only."""
    (gateway,) = await gateways(1, event_loop=event_loop, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    count, filling = 150, "x" * 20_000
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as slow:
        await slow.upgrade("/ws/a?echo=1")
        for number in range(count):
            await sender.send(f"{number} {filling}")
            if number % 3 == 0:
                await slow.send_frame(TEXT, f"own {number}".encode())
                await slow.send_frame(PING, b"%d" % number)
            await listener.receive(number)
        others: list[int] = []
        own: list[int] = []
        pongs: list[int] = []
        while len(others) < count or len(own) < count // 3:
            frame = await slow.frame()
            first, _, rest = frame.payload.decode().partition(" ")
            if frame.opcode == PONG:
                pongs.append(int(first))
            elif first == "own":
                own.append(int(rest))
            else:
                assert (frame.opcode, rest) == (TEXT, filling)
                others.append(int(first))
    assert (others, own) == (list(range(count)), list(range(0, count, 3)))
    assert pongs == sorted(pongs)  # none for a client that doesn't read
