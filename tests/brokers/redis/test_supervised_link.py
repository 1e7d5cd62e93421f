"""A link that is kept open, whatever happens to it."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.connector import ConnectError, Fault, open_link
from relay.brokers.redis.link import Link, Replies
from relay.brokers.redis.supervised_link import BACKOFF_LIMIT_SECONDS, PING, SupervisedLink, backoff
from relay.metrics.counters import Counters
from tests.conftest import ProxyFactory
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer


class PlainLink(SupervisedLink):
    """A link that does nothing but stay open."""

    def __init__(self, address: Address, *, timeout: float = 0.4, interval: float = 0.1) -> None:
        super().__init__(fixed(address), "test", timeout, interval, Counters())
        self.counters = self._counters
        self.losses: list[str] = []
        self.fault: Exception | None = None
        self.writable: list[bool] = []

    async def opened(self, link: Link) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault

    def lost(self, reason: str) -> None:
        self.losses.append(reason)

    def replies_received(self, replies: Replies) -> None:
        while (reply := replies()) is not False:
            self.heartbeat.answered("PING", reply)

    def link_writable(self, writable: bool) -> None:
        self.writable.append(writable)

    def send_heartbeat(self, link: Link) -> None:
        link.write(PING)


def test_backoff_is_jittered_and_bounded() -> None:
    assert all(0 <= backoff(0) <= 0.1 for _ in range(100))
    assert all(0 <= backoff(1000) <= BACKOFF_LIMIT_SECONDS for _ in range(100))
    assert len({backoff(5) for _ in range(10)}) == 10


async def test_it_connects_once_redis_is_there(own_redis: RedisServer) -> None:
    own_redis.kill()
    link = PlainLink(Address(port=own_redis.port))
    await link.start()
    await wait_until(lambda: "can't connect" in (link.problem or ""))
    own_redis.start()
    await wait_until(lambda: link.open)
    assert link.problem is None
    await link.stop()
    assert not link.open


async def test_the_address_is_asked_for_before_each_attempt(
    redis_server: RedisServer, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It may change, as where Sentinel names the primary, and it may be unknown for a while."""
    known: list[Address] = []
    asked = 0

    async def resolve() -> Address:
        nonlocal asked
        asked += 1
        if not known:
            raise ConnectError(Fault("asking for the primary", "no answer"))
        return known[0]

    link = PlainLink(Address())
    link._resolve = resolve
    await link.start()
    await wait_until(lambda: asked > 2)
    assert link.problem == "can't connect: asking for the primary: no answer"
    assert "address=unknown" in caplog.text
    known[:] = [Address(host="127.0.0.1", port=redis_server.port)]
    await wait_until(lambda: link.open)
    before = asked
    known[:] = [Address(host="127.0.0.1", port=own_redis.port)]
    link.abort("on purpose")
    await wait_until(lambda: link.open and link.address == known[0])
    assert link.link is not None
    assert link.link.place == f"127.0.0.1:{own_redis.port}"
    assert asked == before + 1
    await link.stop()


async def test_a_silent_peer_is_noticed_within_the_timeout(redis_server: RedisServer, proxy_to: ProxyFactory) -> None:
    proxy = await proxy_to(redis_server.port)
    link = PlainLink(Address(port=proxy.port))
    await link.start()
    await wait_until(lambda: link.open)
    proxy.black_hole = True
    await wait_until(lambda: link.losses)
    assert "silent for 0.4 s" in link.losses[0]
    proxy.black_hole = False
    await wait_until(lambda: link.open)
    await link.stop()


async def test_a_link_that_is_heard_and_never_answers_is_given_up_in_the_end(
    redis_server: RedisServer, proxy_to: ProxyFactory
) -> None:
    proxy = await proxy_to(redis_server.port)
    link = PlainLink(Address(host="127.0.0.1", port=proxy.port), timeout=0.2)
    link.answer_limit = 3.0
    await link.start()
    await wait_until(lambda: link.open)
    proxy.mute = True
    began = time.monotonic()

    def lost_though_it_is_heard() -> bool:
        if link.link is not None:
            link.link.heard_at = time.monotonic()
        return bool(link.losses)

    await wait_until(lost_though_it_is_heard)
    assert time.monotonic() - began >= 0.5, "bytes that come are a sign of life for a while"
    assert "no answer for" in link.losses[0]
    await link.stop()


async def test_a_refused_question_is_an_answer(own_redis: RedisServer) -> None:
    own_redis.allow("app", "on", ">pw", "-@all")
    link = PlainLink(Address(port=own_redis.port, username="app", password="pw"), timeout=0.2, interval=0.05)
    await link.start()
    await wait_until(lambda: own_redis.admin.info("commandstats")["cmdstat_ping"]["rejected_calls"] > 10)
    assert link.open
    assert link.losses == []
    await link.stop()


async def test_a_quiet_healthy_link_is_left_alone(redis_server: RedisServer) -> None:
    link = PlainLink(Address(port=redis_server.port), timeout=0.1, interval=0.05)
    await link.start()
    await wait_until(lambda: link.open)
    first = link.link
    assert first is not None
    heard = first.heard_at
    await wait_until(lambda: first.heard_at > heard + 0.3)
    assert link.link is first
    await link.stop()


async def test_a_fault_of_ours_starts_the_link_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    link = PlainLink(Address(port=redis_server.port))
    link.fault = RuntimeError("injected")
    await link.start()
    await wait_until(lambda: link.open)
    assert link.counters.bus_connects == 2
    assert "injected" in caplog.text
    await link.stop()


async def test_an_aborted_link_comes_back(redis_server: RedisServer) -> None:
    link = PlainLink(Address(port=redis_server.port))
    link.abort("nothing to abort yet")
    await link.start()
    await wait_until(lambda: link.open)
    link.abort("on purpose")
    await wait_until(lambda: link.counters.bus_connects == 2)
    assert link.losses == ["link lost: on purpose"]
    await link.stop()
    assert link.counters.bus_losses == 2


async def test_garbage_ends_the_link() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = PlainLink(Address(host="127.0.0.1", port=port))
    with pytest.raises(ConnectError, match=rf"log-in at 127\.0\.0\.1:{port}: protocol error"):
        await open_link(Address(host="127.0.0.1", port=port), link, "test", 1.0)
    server.close()
    await ended.wait()
    await server.wait_closed()


async def test_a_wrong_password_is_said(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("requirepass", "right")
    for password, said in (("wrong", "WRONGPASS"), (None, "NOAUTH")):
        link = PlainLink(Address(port=own_redis.port, password=password))
        await link.start()
        await wait_until(lambda link=link, said=said: said in (link.problem or ""))
        await link.stop()


async def test_nobody_there_is_a_connection_problem() -> None:
    link = PlainLink(Address(host="127.0.0.1", port=free_port()))
    await link.start()
    await wait_until(lambda: "Connection refused" in (link.problem or ""))
    await link.stop()
