"""Asking a Redis what it uses."""

from __future__ import annotations

import pytest

from relay.loadtest.target import redis_meter
from relay.loadtest.target.redis_meter import RedisMeter, RedisMeterError
from tests.conftest import RedisFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer


async def test_cpu_and_commands_are_read(own_redis: RedisServer) -> None:
    """Its own question isn't in the number that it gets, but in the next one."""
    meter = RedisMeter(own_redis.url)
    first = await meter.read()
    for _ in range(500):
        own_redis.admin.publish("channel", "x" * 100)
    second = await meter.read()
    await meter.close()
    assert second.run_id == first.run_id
    assert second.cpu_seconds > first.cpu_seconds
    # The other client says hello, too.
    assert 501 <= second.commands - first.commands <= 510


async def test_a_restarted_redis_has_another_id(own_redis: RedisServer) -> None:
    """Its counts begin anew."""
    meter = RedisMeter(own_redis.url)
    first = await meter.read()
    own_redis.restart()
    with pytest.raises(RedisMeterError):
        await meter.read()
    second = await meter.read()
    await meter.close()
    assert second.run_id != first.run_id


async def test_a_redis_with_tls_and_password_can_be_asked(
    redis_with: RedisFactory, certificate_authority: CertificateAuthority
) -> None:
    """As the gateways reach it."""
    server = redis_with(password="p@ss", authority=certificate_authority)
    meter = RedisMeter(server.url, str(certificate_authority.ca_file))
    assert (await meter.read()).commands >= 0
    await meter.close()


async def test_a_redis_that_is_not_there_is_told_without_the_password() -> None:
    """With its address."""
    port = free_port()
    meter = RedisMeter(f"redis://user:secret@127.0.0.1:{port}/0")
    with pytest.raises(
        RedisMeterError, match=rf"Redis at redis://user:\*\*\*@127\.0\.0\.1:{port}/0: .*{port}"
    ) as caught:
        await meter.read()
    await meter.close()
    assert "secret" not in str(caught.value)


async def test_a_redis_that_hangs_is_not_waited_for(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a while."""
    monkeypatch.setattr(redis_meter, "ANSWER_SECONDS", 0.2)
    meter = RedisMeter(own_redis.url)
    own_redis.pause()
    with pytest.raises(RedisMeterError, match="Timeout"):
        await meter.read()
    own_redis.resume()
    await meter.close()


async def test_a_redis_that_does_not_tell_is_named(own_redis: RedisServer) -> None:
    """Its user may lack the right."""
    url = own_redis.add_user("guest", "secret", "+ping +client")
    meter = RedisMeter(url)
    with pytest.raises(RedisMeterError, match=r"guest:\*\*\*@.*info"):
        await meter.read()
    await meter.close()


async def test_a_server_that_knows_other_figures_is_named(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something that only speaks Redis' protocol."""

    async def info() -> dict[str, object]:
        return {"run_id": "1", "used_cpu_user": 1.0}

    meter = RedisMeter(redis_server.url)
    monkeypatch.setattr(meter._client, "info", info)
    with pytest.raises(RedisMeterError, match="its INFO tells no used_cpu_sys"):
        await meter.read()
    await meter.close()


def test_a_wrong_url_is_refused() -> None:
    """When it is given."""
    with pytest.raises(RedisMeterError, match=r"Redis at http://user:\*\*\*@host: Redis URL must specify"):
        RedisMeter("http://user:secret@host")
