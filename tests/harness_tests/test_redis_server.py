"""The Redis of the tests can be killed, restarted and paused, and speaks TLS, AUTH and unix sockets."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.redis_server import RedisServer

NO_RETRY = Retry(NoBackoff(), 0)


def test_a_restart_keeps_the_port_and_forgets_the_data(own_redis: RedisServer) -> None:
    port = own_redis.port
    own_redis.admin.set("key", "value")
    own_redis.kill()
    assert not own_redis.running
    own_redis.start()
    assert own_redis.port == port
    assert own_redis.admin.get("key") is None


def test_a_paused_server_answers_after_it_resumes(own_redis: RedisServer) -> None:
    client = redis.Redis.from_url(own_redis.url, socket_timeout=0.1, retry=NO_RETRY)
    client.ping()
    own_redis.pause()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    own_redis.resume()
    assert client.ping()
    client.close()


def test_subscriptions_and_calls_are_counted(own_redis: RedisServer) -> None:
    assert own_redis.subscriptions("news") == 0
    pubsub = own_redis.admin.pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe("news")
    assert pubsub.get_message(timeout=2) is not None
    assert own_redis.subscriptions("news") == own_redis.channels("n*") == 1
    assert own_redis.calls("subscribe") == 1
    assert own_redis.kill_clients("pubsub") == 1
    assert own_redis.channels("*") == 0
    pubsub.close()


@pytest.mark.parametrize("user", [None, "relay-user"])
def test_a_password_is_needed(user: str | None) -> None:
    with RedisServer(user=user, password="p@ss:word/") as server:
        assert server.admin.ping()
        stranger = redis.Redis(port=server.port, retry=NO_RETRY)
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        stranger.close()


def test_tls_is_trusted_with_the_authority_only(certificate_authority: CertificateAuthority) -> None:
    with RedisServer(authority=certificate_authority) as server:
        assert server.url.startswith("rediss://")
        assert server.admin.ping()
        stranger = redis.Redis.from_url(server.url, retry=NO_RETRY)
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            stranger.ping()
        stranger.close()


def test_a_unix_socket_answers() -> None:
    with RedisServer(unix_socket=True, password="secret") as server:
        client = redis.Redis.from_url(server.unix_url)
        assert client.ping()
        client.close()


def test_what_is_appended_to_a_file_outlives_a_kill() -> None:
    with RedisServer() as server:
        server.admin.set("before", "1")
        server.append(True)
        server.admin.set("after", "2")
        server.restart()
        assert server.admin.mget("before", "after") == [b"1", b"2"]
        server.append(False)
        server.restart()
        assert server.admin.dbsize() == 0
