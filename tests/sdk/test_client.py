"""A program that listens and publishes while gateways come and go, over Redis and over memory."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from relay import AsyncPublisher, Client, MessagesMissed, ReceivedMessage
from relay.sdk.gateway_address import AddressError
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

KEPT = "kept:a"

NAMESPACES = {"kept": {"history_size": 1000, "history_bytes": 100_000_000}}


async def all_grow(received: list[list[str | bytes]]) -> None:
    """Wait until each listener has got more messages."""
    before = [len(got) for got in received]
    await wait_until(lambda: all(len(got) > old + 20 for got, old in zip(received, before, strict=True)))


async def test_a_gateway_that_is_killed_and_started_again_loses_nothing(
    redis_server: RedisServer, gateways: GatewayFactory, prefix: str
) -> None:
    """While a back end goes on publishing. Several listeners: each comes back at another moment."""
    settings = {
        "port": free_port(),
        "broker_url": redis_server.url,
        "broker_prefix": prefix,
        "namespaces": json.dumps(NAMESPACES),
    }
    (gateway,) = await gateways(1, **settings)
    sent: list[str] = []
    over = asyncio.Event()

    async def publish() -> None:
        async with AsyncPublisher(redis_server.url, prefix=prefix) as publisher:
            while not over.is_set():
                sent.append(f"{len(sent)}")
                await publisher.publish(KEPT, sent[-1])
                await asyncio.sleep(0.002)  # a rate that the history keeps while the gateway is away
            sent.append("end")
            await publisher.publish(KEPT, "end")

    async def listen(got: list[str | bytes]) -> None:
        async with client.subscribe(KEPT, history=1) as messages:
            async for message in messages:
                got.append(message.data)
                if message.data == "end":
                    break

    received: list[list[str | bytes]] = [[] for _ in range(5)]
    async with (
        Client(f"http://127.0.0.1:{gateway.port}", max_reconnect_delay=0.5) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(publish())
        await wait_until(lambda: sent)
        for got in received:
            group.create_task(listen(got))
        for _ in range(2):
            have = [len(got) for got in received]
            await wait_until(
                lambda have=have: all(len(got) > old + 20 for got, old in zip(received, have, strict=True))
            )
            gateway.kill()
            (gateway,) = await gateways(1, **settings)
        have = [len(got) for got in received]
        await wait_until(lambda: all(len(got) > old + 20 for got, old in zip(received, have, strict=True)))
        over.set()
    for got in received:
        assert got == sent[sent.index(str(got[0])) :]


@pytest.mark.parametrize("bus", ["memory", "redis"])
async def test_connections_that_break_at_any_byte_lose_nothing(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, bus: str
) -> None:
    """With Redis each goes to the other one of two gateways."""
    if bus == "redis":
        started = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix, namespaces=NAMESPACES)
    else:
        started = await embedded(1, namespaces=NAMESPACES)
    await wait_until(lambda: all(gateway.ready for gateway in started))
    async with (
        TcpProxy(*(gateway.port for gateway in started), in_turn=True) as proxy,
        Client(f"http://127.0.0.1:{proxy.port}", max_reconnect_delay=0.01) as client,
        client.subscribe(KEPT) as messages,
    ):
        sent: list[str | bytes] = []
        got: list[str | bytes] = []
        for turn in range(20):
            proxy.slow_down(bytes_per_second=200_000)
            for number in range(5):
                sent.append(f"{turn} {number}\n" * 500 if number % 2 else bytes([turn, number]) * 700)
                await started[0].publish(KEPT, sent[-1])
            got += [(await anext(messages)).data for _ in range(turn % 5 + 1)]
            proxy.cut()
        proxy.slow_down()
        while len(got) < len(sent):
            got.append((await anext(messages)).data)
        assert got == sent
        assert proxy.accepted > 1  # how often depends on what had come before each cut


async def test_a_gateway_that_has_lost_its_history_says_so(embedded: EmbeddedFactory) -> None:
    port = free_port()
    async with Client(f"ws://127.0.0.1:{port}", max_reconnect_delay=0.1) as client:
        (gateway,) = await embedded(1, port=port, namespaces=NAMESPACES)
        async with client.subscribe(KEPT) as messages:
            await gateway.publish(KEPT, "1")
            assert (await anext(messages)).data == "1"
            await gateway.drain()
            (gateway,) = await embedded(1, port=port, namespaces=NAMESPACES)
            with pytest.raises(MessagesMissed) as raised:
                await anext(messages)
            assert raised.value.position is not None
            assert messages.position == raised.value.position
            await gateway.publish(KEPT, "2")
            assert (await anext(messages)).data == "2"


async def read_all(messages: AsyncIterator[ReceivedMessage], sent: int) -> None:
    """Read messages that are numbered from 0 on."""
    for number in range(sent):
        assert str((await anext(messages)).data).startswith(f"{number} ")


async def test_a_program_that_is_slow_is_closed_and_misses_nothing(embedded: EmbeddedFactory) -> None:
    """Of a channel with a history; of another one it is told."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES, max_message_bytes=100_000, send_buffer_bytes=20_000_000)
    text = "x" * 60_000
    sent = 0
    async with (
        Client(gateway.url, max_reconnect_delay=0.1, buffer_bytes=65_536) as client,
        client.subscribe(KEPT) as kept,
        client.subscribe("lobby") as plain,
    ):
        while gateway.counters.disconnects.get("SLOW_CONSUMER") != 2:
            assert sent < 900, "it reads without being asked"
            for channel in (KEPT, "lobby"):
                await gateway.publish(channel, f"{sent} {text}")
            sent += 1
        await read_all(kept, sent)
        with pytest.raises(MessagesMissed):
            await read_all(plain, sent)
        await client.publish("lobby", "live")
        assert (await anext(plain)).data == "live"


async def test_it_speaks_tls(gateways: GatewayFactory, certificate_authority: CertificateAuthority) -> None:
    (gateway,) = await gateways(1, authority=certificate_authority)
    trust = ssl.create_default_context(cafile=certificate_authority.ca_file)
    async with (
        Client(f"https://localhost:{gateway.port}", tls=trust) as client,
        client.subscribe("lobby") as messages,
    ):
        await client.publish("lobby", "hello")
        assert (await anext(messages)).data == "hello"


async def test_a_path_in_front_and_an_endpoint_are_understood(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with Client(f"{gateway.url}/ws/lobby") as client:
        assert (await client.publish("lobby", "hello")).gateways == 0


@pytest.mark.parametrize("url", ["localhost:8000", "redis://h", "http://ann:secret@h", "http://h?token=secret"])
def test_what_is_no_address_of_a_gateway_is_told_at_once(url: str) -> None:
    with pytest.raises(AddressError, match="url: must look like http://host:8000"):
        Client(url)
    assert issubclass(AddressError, ValueError)


def test_it_can_be_made_before_there_is_an_event_loop() -> None:
    """As a global of a web application is."""
    client = Client("http://localhost:1")
    asyncio.run(client.aclose())


def test_a_program_that_listens_loads_no_server_and_one_that_does_not_loads_no_client() -> None:
    program = "import sys, relay; before = set(sys.modules); relay.Client; print(*before, '|', *sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    before, after = (set(part.split()) for part in printed.split("|"))
    assert "aiohttp" not in before
    assert {name for name in before if name.startswith("relay")} == {"relay", "relay.version"}
    assert "aiohttp.client" in after
    loaded = {name.split(".")[1] for name in after if name.startswith("relay.")}
    assert loaded == {"version", "sdk", "errors", "channel", "position", "idempotency_key", "redaction", "system_error"}
    assert not {"websockets", "redis", "hiredis", "structlog", "pydantic"} & {name.split(".")[0] for name in after}
