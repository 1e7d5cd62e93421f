"""Publishing from a back end, as its author would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from relay import AsyncPublisher, Publisher
from relay.brokers import BrokerOptions
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.connector import open_link
from relay.brokers.redis.link import LinkOwner
from relay.errors import BusUnavailable, ChannelError, DeliveryUnknown, PublishRefused
from relay.idempotency_key import IdempotencyKeyError
from relay.message import NO_ORIGIN, Kind, Message
from tests.brokers.recording import Station
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import stays_true, wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer

Publish = Callable[..., Coroutine[Any, Any, int]]


async def publish_blocking(url: str, channel: str, data: str | bytes, **options: Any) -> int:
    """Publish with the blocking publisher, in a thread."""

    def work() -> int:
        with Publisher(url, **options) as publisher:
            return publisher.publish(channel, data)

    return await asyncio.to_thread(work)


async def publish_async(url: str, channel: str, data: str | bytes, **options: Any) -> int:
    """Publish with the asyncio publisher."""
    async with AsyncPublisher(url, **options) as publisher:
        return await publisher.publish(channel, data)


BOTH = pytest.mark.parametrize("publish", [publish_blocking, publish_async])


@BOTH
async def test_text_and_bytes_reach_the_gateways(publish: Publish, redis_server: RedisServer, prefix: str) -> None:
    station = Station(BrokerOptions(redis_server.url, prefix))
    await station.broker.start()
    await station.broker.subscribe("c")
    assert await publish(redis_server.url, "c", "grüezi", prefix=prefix) == 1
    assert await publish(redis_server.url, "c", b"\x00\xffr", prefix=prefix) == 1
    assert await publish(redis_server.url, "nobody", "", prefix=prefix) == 0
    await wait_until(lambda: len(station.sink.messages) == 2)
    assert station.sink.messages == [
        Message("c", "grüezi".encode(), Kind.TEXT, NO_ORIGIN),
        Message("c", b"\x00\xffr", Kind.BINARY, NO_ORIGIN),
    ]
    await station.broker.stop()


@BOTH
async def test_no_redis_raises(publish: Publish) -> None:
    with pytest.raises(BusUnavailable):
        await publish(f"redis://127.0.0.1:{free_port()}", "c", "x", timeout=0.5)


@BOTH
async def test_a_silent_server_is_named(publish: Publish, redis_server: RedisServer, proxy_to: ProxyFactory) -> None:
    """It was not sent. Something else may be at this address, such as a gateway, or a Redis that wants TLS."""
    proxy = await proxy_to(redis_server.port)
    proxy.black_hole = True
    with pytest.raises(BusUnavailable, match=rf"no answer from 127\.0\.0\.1:{proxy.port} within 0\.2 s"):
        await publish(redis_server.url_of(port=proxy.port), "c", "x", timeout=0.2)


@BOTH
async def test_a_silent_redis_leaves_the_delivery_unknown(
    publish: Publish, redis_server: RedisServer, proxy_to: ProxyFactory
) -> None:
    """Sent and not answered: not an error that may be retried without thinking."""
    proxy = await proxy_to(redis_server.port)
    url = redis_server.url_of(port=proxy.port)
    async with AsyncPublisher(url, timeout=2) as warm:
        await warm.publish("c", "connects")
        proxy.black_hole = True
        with pytest.raises(DeliveryUnknown):
            await warm.publish("c", "x")
        proxy.black_hole = False
        assert await warm.publish("c", "the next one has its own answer") == 0
    with Publisher(url, timeout=2) as publisher:
        await asyncio.to_thread(publisher.publish, "c", "connects")
        proxy.black_hole = True
        with pytest.raises(DeliveryUnknown):
            await asyncio.to_thread(publisher.publish, "c", "x")
        proxy.black_hole = False
        assert await asyncio.to_thread(publisher.publish, "c", "the next one has its own answer") == 0


@BOTH
async def test_a_refusal_raises(publish: Publish, own_redis: RedisServer) -> None:
    own_redis.allow("limited", "on", ">pw", "+@all", "~*", "resetchannels")
    with pytest.raises(PublishRefused, match="permissions"):
        await publish(f"redis://limited:pw@127.0.0.1:{own_redis.port}", "c", "x")


@BOTH
async def test_a_redis_that_wants_a_password_refuses(publish: Publish, own_redis: RedisServer) -> None:
    """It has answered: nobody need fear that the message was delivered."""
    own_redis.admin.config_set("requirepass", "right")
    with pytest.raises(PublishRefused, match="Authentication required"):
        await publish(own_redis.url, "c", "hello")


@BOTH
async def test_an_illegal_channel_raises_before_anything_is_sent(publish: Publish) -> None:
    with pytest.raises(ChannelError):
        await publish("redis://127.0.0.1:1", "a b", "x")


async def test_a_message_is_sent_once_though_redis_pauses(own_redis: RedisServer) -> None:
    """redis-py by itself would send it again after its timeout."""
    station = Station(BrokerOptions(own_redis.url, timeout=5))
    await station.broker.start()
    await station.broker.subscribe("c")
    async with AsyncPublisher(own_redis.url, timeout=0.2) as publisher:
        await publisher.publish("c", "first")
        own_redis.pause()
        with pytest.raises(DeliveryUnknown):
            await publisher.publish("c", "once")
        own_redis.resume()
        await publisher.publish("c", "last")
    await wait_until(lambda: b"last" in station.sink.payloads("c"))
    assert station.sink.payloads("c").count(b"once") <= 1
    await station.broker.stop()


async def test_a_cancelled_publish_leaves_no_answer_for_the_next(own_redis: RedisServer) -> None:
    async with AsyncPublisher(own_redis.url) as publisher:
        await publisher.publish("c", "connects")
        own_redis.pause()
        task = asyncio.create_task(publisher.publish("c", "cancelled"))
        assert await stays_true(lambda: not task.done(), 0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        own_redis.resume()
        station = Station(BrokerOptions(own_redis.url))
        await station.broker.start()
        await station.broker.subscribe("d")
        assert await publisher.publish("d", "x") == 1
        await station.broker.stop()


def test_threads_share_a_publisher(redis_server: RedisServer, prefix: str) -> None:
    with Publisher(redis_server.url, prefix=prefix) as publisher, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: publisher.publish("c", str(n)), range(100))) == {0}


async def test_many_at_once_share_an_async_publisher(redis_server: RedisServer, prefix: str) -> None:
    async with AsyncPublisher(redis_server.url, prefix=prefix) as publisher:
        results = await asyncio.gather(*(publisher.publish("c", str(n)) for n in range(300)))
    assert set(results) == {0}


def test_other_buses_are_refused() -> None:
    for kind in (Publisher, AsyncPublisher):
        with pytest.raises(ValueError, match=r"must be one of redis://, rediss://, unix://; memory:// is one gateway"):
            kind("memory://")


@BOTH
async def test_a_user_without_a_password_logs_in_as_that_user(publish: Publish, own_redis: RedisServer) -> None:
    """And not as the default user, as a gateway's link does too."""
    own_redis.allow("guest", "on", "nopass", "+@all", "resetchannels")
    url = f"redis://guest@127.0.0.1:{own_redis.port}"
    with pytest.raises(PublishRefused, match="permissions"):
        await publish(url, "c", "x")
    link = await open_link(parse_address(url), cast(LinkOwner, None), "test", 3)
    assert await link.call("ACL", "WHOAMI") == b"guest"
    link.abort("done")


@BOTH
async def test_tls_options_of_the_url_count(
    publish: Publish, redis_with: RedisFactory, certificate_authority: CertificateAuthority
) -> None:
    server = redis_with(authority=certificate_authority)
    own = certificate_authority
    assert await publish(f"{server.url}?ssl_ca_certs={own.ca_file}", "c", "x") == 0
    assert await publish(f"{server.url}?ssl_cert_reqs=none", "c", "x") == 0
    assert await publish(server.url, "c", "x", ca_file=str(own.ca_file)) == 0
    certificate = f"ssl_certfile={own.certificate_file}&ssl_keyfile={own.key_file}"
    assert await publish(f"{server.url}?ssl_cert_reqs=none&{certificate}", "c", "x") == 0
    with pytest.raises(BusUnavailable, match="certificate"):
        await publish(server.url, "c", "x")


@BOTH
@pytest.mark.parametrize("data", [1, None, [1, 2], {"a": 1}])
async def test_what_is_neither_text_nor_bytes_is_refused(publish: Publish, data: Any) -> None:
    with pytest.raises(TypeError, match="must be str or bytes, not"):
        await publish("redis://127.0.0.1:1", "c", data)


async def test_a_closed_publisher_says_so(redis_server: RedisServer) -> None:
    with Publisher(redis_server.url) as publisher:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        publisher.publish("c", "x")
    async with AsyncPublisher(redis_server.url) as async_publisher:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await async_publisher.publish("c", "x")


async def test_an_empty_key_is_refused_before_anything_is_sent() -> None:
    """It would make all messages of a channel the same."""
    nowhere = f"redis://127.0.0.1:{free_port()}"
    with Publisher(nowhere) as publisher, pytest.raises(IdempotencyKeyError):
        publisher.publish("c", "x", idempotency_key="")
    async with AsyncPublisher(nowhere) as other:
        with pytest.raises(ValueError, match="an idempotency key must have"):
            await other.publish("c", "x", idempotency_key="k" * 256)
