"""Redis behind a password, an ACL, TLS, a socket file, in another database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay import AsyncPublisher, Gateway, Publisher
from tests.conftest import EmbeddedFactory, GatewayFactory, RedisFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess, launch
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

ROOT = Path(__file__).parents[2]

PASSWORD = "p@ss:w/rd%41é"


async def check_pair(pair: Sequence[GatewayProcess | Gateway]) -> None:
    """Check that two gateways hear each other."""
    await all_told_ready(pair)
    one, two = pair
    async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, receiver):
        await sender.send("hello")
        assert await receiver.receive(1) == ["hello"]
        await receiver.send(b"back")
        assert await sender.receive(1) == [b"back"]


async def test_a_password_is_enough(redis_with: RedisFactory, gateways: GatewayFactory) -> None:
    redis = redis_with(password=PASSWORD)
    pair = await gateways(2, broker_url=redis.url)
    await check_pair(pair)
    assert not any("ss:w" in gateway.output or "ss%3Aw" in gateway.output for gateway in pair)


async def test_a_user_with_a_password_is_let_in(redis_with: RedisFactory, embedded: EmbeddedFactory) -> None:
    redis = redis_with(user="relay-user", password=PASSWORD)
    await check_pair(await embedded(2, broker_url=redis.url))


async def test_a_user_with_no_more_rights_than_needed_is_enough(
    own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    rights = "resetchannels &relay:* -@all +publish +subscribe +unsubscribe"
    pair = await gateways(2, broker_url=own_redis.add_user("poor", "secret", rights))
    await check_pair(pair)
    url = own_redis.add_user("publisher", "secret", "resetchannels &relay:* -@all +publish")
    async with connected(f"{pair[0].url}/ws/b") as (client,):
        with Publisher(url) as publisher:
            assert await asyncio.to_thread(publisher.publish, "b", "from a thread") == 1
        async with AsyncPublisher(url) as publisher:
            assert await publisher.publish("b", "from a task") == 1
        assert await client.receive(2) == ["from a thread", "from a task"]


async def test_the_rights_that_the_documentation_advises_are_enough_and_refused_nowhere(
    own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    (line,) = re.findall(r"^    (ACL SETUSER .+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    own_redis.admin.execute_command(*line.replace("PASSWORD", "secret").split())  # type: ignore[no-untyped-call]
    pair = await gateways(2, broker_url=f"redis://relay:secret@127.0.0.1:{own_redis.port}")
    await check_pair(pair)
    for gateway in pair:
        told = gateway.records("bus connected")
        assert len(told) == 2
        assert all("refused" not in entry and entry["role"] == "master" and entry["run_id"] for entry in told)
    assert own_redis.admin.acl_log() == []


@pytest.mark.parametrize("pattern", ["&relay:?probe*", "&relay:?control*"])
async def test_the_patterns_that_the_documentation_names_can_be_set(own_redis: RedisServer, pattern: str) -> None:
    assert f"`{pattern}`" in (ROOT / "docs/operations.md").read_text()
    own_redis.allow("relay", pattern)


async def test_a_wrong_password_is_told_and_kept_secret(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("requirepass", "right")
    gateway = GatewayProcess(broker_url=own_redis.url.replace("redis://", "redis://:wr0ng-one@"))
    try:
        await gateway.listening()
        answer = await gateway.ready(False)
        await wait_until(lambda: gateway.records("bus refused the log-in"))
        answer = await gateway.ready(False)
        assert any("WRONGPASS" in reason for reason in answer.json["reasons"])
        assert "wr0ng-one" not in gateway.output + answer.text
        own_redis.admin.config_set("requirepass", "wr0ng-one")
        await gateway.ready()
    finally:
        gateway.close()


async def test_a_forbidden_channel_refuses_its_clients_alone(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    url = own_redis.add_user("narrow", "secret", "resetchannels &relay:a* &relay:?probe* +@all")
    pair = await embedded(2, broker_url=url)
    async with RawWebSocket(pair[0].port) as raw:
        assert (await raw.upgrade("/ws/b")).status == 503
    await check_pair(pair)


async def test_databases_share_channels_and_prefixes_do_not(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    """Redis pub/sub knows no databases; the gateways still log in to the one that they were given."""
    pair = await embedded(2, broker_url=own_redis.url_of(db=5))
    await check_pair(pair)
    databases = {client["db"] for client in own_redis.admin.client_list() if client["name"].startswith("relay")}
    assert databases == {"5"}


async def test_tls_is_trusted_by_its_authority(
    redis_with: RedisFactory, certificate_authority: CertificateAuthority, gateways: GatewayFactory
) -> None:
    ca_file = str(certificate_authority.ca_file)
    redis = redis_with(authority=certificate_authority, password="secret")
    pair = await gateways(2, broker_url=redis.url, broker_ca_file=ca_file)
    await check_pair(pair)
    with Publisher(redis.url, ca_file=ca_file) as publisher:
        async with connected(*[f"{gateway.url}/ws/b" for gateway in pair]) as clients:
            assert await asyncio.to_thread(publisher.publish, "b", "over TLS") == 2
            for client in clients:
                assert await client.receive(1) == ["over TLS"]
    await asyncio.to_thread(redis.restart)
    await wait_until(lambda: redis.channels("relay:?probe*") == 2, 10)
    await asyncio.gather(*(gateway.ready() for gateway in pair))
    await check_pair(pair)


async def test_tls_of_a_stranger_is_refused(
    redis_with: RedisFactory, certificate_authority: CertificateAuthority
) -> None:
    redis = redis_with(authority=certificate_authority)
    gateway = GatewayProcess(broker_url=redis.url)
    try:
        await gateway.listening()
        await wait_until(lambda: gateway.records("bus unreachable"))
        answer = await gateway.ready(False)
        assert any("certificate" in reason.lower() for reason in answer.json["reasons"])
    finally:
        gateway.close()


async def test_a_socket_file_is_enough(redis_with: RedisFactory, gateways: GatewayFactory) -> None:
    redis = redis_with(unix_socket=True, password="secret")
    pair = await gateways(2, broker_url=redis.unix_url)
    await check_pair(pair)
    redis.kill()
    await asyncio.gather(*(gateway.ready(False) for gateway in pair))
    await asyncio.to_thread(redis.start)
    await launch(*pair)
    await check_pair(pair)
