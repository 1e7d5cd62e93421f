"""The way to Redis at all addresses of a name, and what is said when there is none."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from relay.brokers.redis import connector
from relay.brokers.redis.address import Address
from relay.brokers.redis.connector import MAX_ADDRESSES, ConnectError, Fault, open_link
from relay.brokers.redis.link import Link
from tests.brokers.redis.test_supervised_link import PlainLink
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer

LIMIT = 5.0


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which connecting gets no answer, as on a machine that is off: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def dial(*ports: int, limit: float = LIMIT, **address: Any) -> Link:
    """Open a link by a name that has these ports of 127.0.0.1 as its addresses; there is no name server here."""
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host != "redis.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign,assignment]  # this loop is the test's own
    named = Address(host="redis.example", **address)
    return await open_link(named, PlainLink(named), "relay-test", limit)


async def test_an_address_that_does_not_answer_makes_room_for_the_next(
    redis_server: RedisServer, silent_port: int
) -> None:
    link = await dial(silent_port, redis_server.port)
    assert link.place == f"127.0.0.1:{redis_server.port}"
    link.abort("done")


async def test_neither_does_one_that_accepts_and_says_nothing(
    redis_server: RedisServer, proxy_to: ProxyFactory
) -> None:
    proxy = await proxy_to(redis_server.port)
    proxy.black_hole = True
    link = await dial(proxy.port, redis_server.port)
    assert link.place == f"127.0.0.1:{redis_server.port}"
    assert not link.closed.done()
    link.abort("done")


async def test_a_replica_is_passed_over_for_the_primary(redis_with: RedisFactory) -> None:
    primary, replica = redis_with(), redis_with()
    replica.follow(primary)
    link = await dial(replica.port, primary.port)
    assert link.place == f"127.0.0.1:{primary.port}"
    link.abort("done")
    with pytest.raises(ConnectError, match="it is a replica; the bus needs the primary"):
        await dial(replica.port)


async def test_the_first_that_answers_is_the_only_one_that_is_asked(
    redis_server: RedisServer, proxy_to: ProxyFactory
) -> None:
    first, second = await proxy_to(redis_server.port), await proxy_to(redis_server.port)
    link = await dial(first.port, second.port)
    assert (first.accepted, second.accepted) == (1, 0)
    link.abort("done")


async def test_an_error_names_each_step_that_failed(
    silent_port: int, redis_server: RedisServer, proxy_to: ProxyFactory
) -> None:
    refusing, mute = free_port(), await proxy_to(redis_server.port)
    mute.black_hole = True
    with pytest.raises(ConnectError) as caught:
        await dial(refusing, silent_port, mute.port, limit=0.4)
    assert set(str(caught.value).split("; ")) == {
        f"connecting to 127.0.0.1:{refusing}: Connection refused",
        f"connecting to 127.0.0.1:{silent_port}: no answer within 0.4 s",
        f"log-in at 127.0.0.1:{mute.port}: no answer within 0.4 s",
    }
    assert not caught.value.refused


async def test_a_name_with_many_addresses_gives_each_its_share_of_the_time(
    redis_server: RedisServer, silent_port: int
) -> None:
    link = await dial(*[silent_port] * (MAX_ADDRESSES - 1), redis_server.port, limit=2 * LIMIT)
    assert link.place == f"127.0.0.1:{redis_server.port}"
    link.abort("done")


async def test_a_wrong_password_is_a_refusal(redis_with: RedisFactory) -> None:
    redis = redis_with(password="right")
    with pytest.raises(ConnectError, match=rf"^log-in at 127\.0\.0\.1:{redis.port}: WRONGPASS") as caught:
        await dial(redis.port, password="wrong")
    assert caught.value.refused


async def test_tls_is_a_step_of_its_own(
    redis_with: RedisFactory, redis_server: RedisServer, certificate_authority: CertificateAuthority
) -> None:
    secure = redis_with(authority=certificate_authority)
    with pytest.raises(ConnectError, match=rf"^TLS with 127\.0\.0\.1:{secure.port}: its certificate isn't trusted: "):
        await dial(secure.port, tls=ssl.create_default_context())
    with pytest.raises(ConnectError, match=rf"^TLS with 127\.0\.0\.1:{redis_server.port}: "):
        await dial(redis_server.port, limit=0.3, tls=ssl.create_default_context())


async def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def silent(*_: Any, **__: Any) -> list[Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    address = Address(host="nowhere.example")
    for answer, said in ((unknown, "Name or service not known"), (silent, "no answer within 0.1 s")):
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)
        with pytest.raises(ConnectError) as caught:
            await open_link(address, PlainLink(address), "relay-test", 0.1)
        assert str(caught.value) == f"look-up of nowhere.example: {said}"


async def test_a_socket_file_that_is_not_there_is_told() -> None:
    address = Address(path="/nowhere/redis.sock")
    with pytest.raises(ConnectError, match=r"^connecting to /nowhere/redis\.sock: No such file or directory$"):
        await open_link(address, PlainLink(address), "relay-test", LIMIT)


async def test_a_link_is_dropped_when_it_is_not_wanted_any_more_in_the_moment_of_its_log_in(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that ends may cancel it then; the event loop would keep the socket."""
    fault_of = connector._fault_of

    def cancel(task: asyncio.Task[Link]) -> Fault | None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        return fault_of(task)

    with monkeypatch.context() as patch:
        patch.setattr(connector, "_fault_of", cancel)
        dialing = asyncio.create_task(dial(own_redis.port))
        await asyncio.wait([dialing])
    assert dialing.cancelled()
    await wait_until(lambda: [it["name"] for it in own_redis.admin.client_list() if it["name"] == "relay-test"] == [])
