"""A gateway inside another program."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay import Gateway, Publisher, Settings
from relay.errors import BusUnavailable, ChannelError, PublishBufferFull
from relay.idempotency_key import IdempotencyKeyError
from tests.harness.conditions import wait_until
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected


async def test_it_serves_inside_the_block_and_is_gone_after_it() -> None:
    tasks = asyncio.all_tasks()
    async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
        assert gateway.ready
        assert gateway.url == f"ws://127.0.0.1:{gateway.port}"
        async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/a") as (a, b):
            await a.send("hello")
            assert await b.receive(1) == ["hello"]
    assert gateway.problems == ["not started"]
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", gateway.port)
    await wait_until(lambda: asyncio.all_tasks() == tasks)


async def test_leaving_the_block_says_goodbye() -> None:
    async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
        async with connected(f"{gateway.url}/") as (client,):
            await gateway.drain()
            assert await client.ended() == (1001, "going away")
        await gateway.drain()
    assert gateway.counters.disconnects == {"GOING_AWAY": 1}


async def test_stopping_drops_clients_at_once() -> None:
    gateway = Gateway(Settings(port=0, drain_seconds=60))
    await gateway.stop()
    await gateway.drain()
    await gateway.start()
    async with connected(f"{gateway.url}/") as (client,), RawWebSocket(gateway.port) as undecided:
        await undecided.send(b"GET /")
        await gateway.stop()
        assert (await client.ended())[0] == 1006
        await undecided.end()
    await gateway.stop()


async def test_clients_are_let_in_during_the_drain_delay_and_sent_elsewhere_after_it() -> None:
    """Load balancers need the delay to notice; who comes meanwhile must not be turned away."""
    gateway = Gateway(Settings(port=0, drain_delay=0.5, drain_seconds=0))
    await gateway.start()
    async with RawWebSocket(gateway.port) as late, RawWebSocket(gateway.port) as undecided:
        await undecided.send(b"GET /")
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: gateway.problems == ["draining"])
        assert (await late.upgrade("/ws/a")).status == 101
        assert await late.close_frame() == (1001, "going away")
        response = await undecided.response()
        assert (response.status, response.text) == (503, "this gateway is shutting down\n")
        late.close()
        await draining


async def test_a_taken_port_is_an_oserror_and_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = Gateway(Settings(port=port))
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1 port {port}"):
            await gateway.start()
        assert gateway.problems == ["not started"]


async def test_several_addresses_share_a_port() -> None:
    async with Gateway(Settings(host=("127.0.0.1", "127.0.0.2"), port=0)) as gateway:
        for host in ("127.0.0.1", "127.0.0.2"):
            _, writer = await asyncio.open_connection(host, gateway.port)
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "ws://localhost:8000"), ("::1", "ws://[::1]:8000"), ("relay", "ws://relay:8000")]
)
def test_the_url_is_one_that_clients_can_use(host: str, url: str) -> None:
    assert Gateway(Settings(host=(host,), port=8000)).url == url


async def test_it_logs_when_it_becomes_ready_and_when_it_no_longer_is(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "relay")
    async with Gateway(Settings(port=0, broker_url=own_redis.url, publish_timeout=0)) as gateway:
        assert not gateway.ready
        await wait_until(lambda: [record.message for record in caplog.records].count("ready") == 1)
        own_redis.kill()
        await wait_until(lambda: "not ready" in caplog.text)
        assert any("bus publications" in problem for problem in gateway.problems)
        own_redis.start()
        await wait_until(lambda: [record.message for record in caplog.records].count("ready") == 2)


async def test_a_fault_in_a_background_task_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr("relay.clients.keepalive.Keepalive.run", fail)
    async with Gateway(Settings(port=0)):
        await wait_until(lambda: "injected" in caplog.text)


async def test_the_program_around_it_publishes(redis_server: RedisServer, prefix: str) -> None:
    settings = {"port": 0, "broker_url": redis_server.url, "broker_prefix": prefix, "drain_seconds": 0}
    async with Gateway(Settings(**settings)) as one, Gateway(Settings(**settings)) as two:  # type: ignore[arg-type]
        await wait_until(lambda: one.ready and two.ready)
        assert await one.publish("a", "nobody is there") == 0
        async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as clients:
            assert await one.publish("a", "grüezi") == 2
            assert await two.publish("a", b"\x00\xff") == 2
            for client in clients:
                assert await client.receive(2) == ["grüezi", b"\x00\xff"]
        with pytest.raises(ChannelError):
            await one.publish("a b", "x")
        with pytest.raises(TypeError, match="must be str or bytes, not dict"):
            await one.publish("a", {})  # type: ignore[arg-type]


async def test_the_program_around_it_publishes_a_message_with_a_key_once(
    redis_server: RedisServer, prefix: str
) -> None:
    settings = Settings(port=0, broker_url=redis_server.url, broker_prefix=prefix, drain_seconds=0)
    async with Gateway(settings) as gateway:
        await wait_until(lambda: gateway.ready)
        async with connected(f"{gateway.url}/ws/a") as clients:
            for data in ("paid", "paid, told again", "shipped"):
                key = "order 42 shipped" if data == "shipped" else "order 42 paid"
                assert await gateway.publish("a", data, idempotency_key=key) == 1
            assert await clients[0].receive(2) == ["paid", "shipped"]
            with pytest.raises(IdempotencyKeyError):
                await gateway.publish("a", "x", idempotency_key="")


async def test_only_a_running_gateway_publishes() -> None:
    gateway = Gateway(Settings(port=0, drain_seconds=0))
    with pytest.raises(RuntimeError, match="not running"):
        await gateway.publish("a", "x")
    async with gateway:
        assert await gateway.publish("a", "x") == 0
    with pytest.raises(RuntimeError, match="not running"):
        await gateway.publish("a", "x")


async def test_the_program_around_it_hears_that_a_message_was_not_published(own_redis: RedisServer) -> None:
    settings = {"port": 0, "broker_url": own_redis.url, "publish_timeout": 0.1, "publish_buffer_bytes": 65_536}
    async with Gateway(Settings(**settings)) as gateway:  # type: ignore[arg-type]
        await wait_until(lambda: gateway.ready)
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        with pytest.raises(BusUnavailable):
            await gateway.publish("a", "x")
        first = asyncio.create_task(gateway.publish("a", bytes(20_000)))
        await asyncio.sleep(0)
        with pytest.raises(PublishBufferFull, match="of back_ends wait"):
            await gateway.publish("a", "x")
        with pytest.raises(BusUnavailable):
            await first


async def test_a_database_number_is_warned_of_and_the_bus_is_named(
    redis_server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two deployments that differ by it alone hear each other."""
    caplog.set_level("INFO", "relay")
    url = redis_server.url_of(db=3)
    async with Gateway(Settings(port=0, broker_url=url, broker_prefix=prefix)) as gateway:
        assert "does not separate deployments" in caplog.text
        assert "RELAY_BROKER_PREFIX" in caplog.text
        assert f"bus=redis://127.0.0.1:{redis_server.port}/3" in caplog.text
        await wait_until(lambda: gateway.ready)
        async with connected(f"{gateway.url}/ws/a") as (client,):
            with Publisher(redis_server.url_of(db=0), prefix=prefix) as publisher:
                assert await asyncio.to_thread(publisher.publish, "a", "from database 0") == 1
            assert await client.receive(1) == ["from database 0"]
    caplog.clear()
    async with Gateway(Settings(port=0, broker_url=redis_server.url, broker_prefix=prefix)):
        assert "does not separate" not in caplog.text
