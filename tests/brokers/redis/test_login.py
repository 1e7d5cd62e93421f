"""What a link says first, and what of it may be refused."""

from __future__ import annotations

import re

import pytest

from relay.brokers import BrokerOptions
from relay.brokers.redis.address import Address
from relay.brokers.redis.connector import ConnectError, open_link
from tests.brokers.recording import Station
from tests.brokers.redis.test_supervised_link import PlainLink
from tests.conftest import RedisFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer

LEAST = "resetchannels &relay:* -@all +publish +subscribe +unsubscribe"
"""Rights without which a gateway can't work."""


def owner(address: Address) -> PlainLink:
    """Return somebody who takes replies."""
    return PlainLink(address)


async def test_a_server_tells_its_role_and_its_run_id(redis_server: RedisServer) -> None:
    address = Address(port=redis_server.port, host="127.0.0.1", db=3)
    link = await open_link(address, owner(address), "relay-test", 3.0)
    assert link.server.role == "master"
    assert link.server.run_id == redis_server.admin.info("server")["run_id"]
    assert link.server.refused == ()
    assert link.place == f"127.0.0.1:{redis_server.port}"
    named = [client for client in redis_server.admin.client_list() if client["name"] == "relay-test"]
    assert [client["db"] for client in named] == ["3"]
    link.abort("done")


async def test_the_least_rights_are_enough_and_the_role_is_told_all_the_same(own_redis: RedisServer) -> None:
    own_redis.add_user("poor", "secret", LEAST)
    address = Address(port=own_redis.port, username="poor", password="secret", db=1)
    link = await open_link(address, owner(address), "relay-test", 3.0)
    assert (link.server.role, link.server.run_id) == ("master", None)
    assert [refusal.partition(":")[0] for refusal in link.server.refused] == ["SELECT", "CLIENT", "INFO"]
    link.abort("done")


async def test_a_gateway_works_with_the_least_rights(own_redis: RedisServer) -> None:
    """No PING either: a refusal is an answer, so nothing is torn down, however often it asks."""
    url = own_redis.add_user("poor", "secret", LEAST)
    station = Station(BrokerOptions(url, timeout=0.3, probe_interval=0.1))
    await station.broker.start()
    await station.broker.subscribe("c")
    await wait_until(lambda: not station.broker.problems)
    await wait_until(lambda: own_redis.admin.info("commandstats")["cmdstat_ping"]["rejected_calls"] > 5)
    station.say("c", b"x")
    await wait_until(lambda: station.sink.payloads("c") == [b"x"])
    assert (station.counters.bus_losses, station.counters.bus_errors, station.broker.problems) == (0, 0, [])
    await station.broker.stop()


async def test_unknown_commands_are_no_hindrance(redis_with: RedisFactory) -> None:
    redis = redis_with(without=["CLIENT", "HELLO", "INFO", "PING"])
    station = Station(BrokerOptions(f"redis://127.0.0.1:{redis.port}", timeout=0.5, probe_interval=0.1))
    await station.broker.start()
    await station.broker.subscribe("c")
    await wait_until(lambda: station.counters.bus_round_trips.count > 8)
    assert (station.broker.problems, station.counters.bus_losses) == ([], 0)
    assert station.broker.state.server is None
    await station.broker.stop()


@pytest.mark.parametrize("without", [[], ["HELLO"]])
async def test_a_missing_password_is_told(redis_with: RedisFactory, without: list[str]) -> None:
    redis = redis_with(password="secret", without=without)
    address = Address(port=redis.port, host="127.0.0.1")
    with pytest.raises(ConnectError, match=rf"log-in at 127\.0\.0\.1:{redis.port}: NOAUTH") as caught:
        await open_link(address, owner(address), "relay-test", 3.0)
    assert caught.value.refused


async def test_a_full_redis_is_told_in_its_own_words(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("maxclients", 1)
    address = Address(port=own_redis.port)
    with pytest.raises(ConnectError, match=re.escape("max number of clients reached")):
        await open_link(address, owner(address), "relay-test", 3.0)
