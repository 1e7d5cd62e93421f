"""One Redis of the bus, and several of them."""

from __future__ import annotations

import pytest

from relay.brokers import BrokerOptions
from relay.brokers.redis.address import fixed, parse_address
from relay.brokers.redis.broker import RedisBroker
from relay.brokers.redis.shard import Shard
from relay.brokers.redis.verbs import PUBSUB, SHARDED_PUBSUB, Verbs
from relay.brokers.shares import Share
from relay.channel import INTERNAL
from relay.metrics.counters import Counters
from tests.brokers.recording import Outcomes, RecordingSink, RecordingSource, Station
from tests.conftest import RedisFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.redis_server import RedisServer


@pytest.mark.parametrize("verbs", [PUBSUB, SHARDED_PUBSUB], ids=["pubsub", "sharded"])
async def test_a_shard_speaks_with_the_verbs_it_is_given(own_redis: RedisServer, verbs: Verbs) -> None:
    """Its probe, too."""
    sink, counters, source, outcomes = RecordingSink(), Counters(), RecordingSource(Share.BACK_ENDS), Outcomes()
    options = BrokerOptions(own_redis.url, probe_interval=0.1)
    shard = Shard(fixed(parse_address(options.url)), options, sink, counters, verbs)
    await shard.start()
    await wait_until(lambda: not shard.problems, what=lambda: shard.problems)
    await shard.subscriptions.subscribe("c")
    shard.publications.publish(shard.publish_template("c") % (5, b"hello"), source, outcomes)
    await wait_until(lambda: sink.payloads("c") == [b"hello"])
    await wait_until(lambda: outcomes.heard == [1])
    shard.subscriptions.unsubscribe("c")
    await wait_until(lambda: own_redis.calls(verbs.unsubscribe.decode().lower()) == 1)
    await wait_until(lambda: counters.bus_round_trips.count > 1)
    await shard.stop()
    assert {own_redis.calls(verb.decode().lower()) > 0 for verb in verbs[:3]} == {True}
    other = PUBSUB if verbs is SHARDED_PUBSUB else SHARDED_PUBSUB
    assert {own_redis.calls(verb.decode().lower()) for verb in other[:3]} == {0}


async def test_a_bus_of_several_shards_adds_them_up(redis_with: RedisFactory) -> None:
    """As a cluster will: the channel says which."""
    servers = redis_with(), redis_with()
    station = Station(BrokerOptions(servers[0].url, probe_interval=0.1))
    broker = station.broker
    assert isinstance(broker, RedisBroker)
    options = BrokerOptions(servers[1].url, probe_interval=0.1)
    second = Shard(fixed(parse_address(options.url)), options, station.sink, station.counters)
    broker.shards = (*broker.shards, second)
    broker._shard_of = lambda channel: broker.shards[channel == "second"]  # type: ignore[method-assign]
    await broker.start()
    await wait_until(lambda: not broker.problems, what=lambda: broker.problems)
    assert not broker.counts_all_receivers
    for channel, server in zip(("first", "second"), servers, strict=True):
        await broker.subscribe(channel)
        outcomes = Outcomes()
        station.say(channel, b"x", receipt=outcomes)
        await wait_until(lambda channel=channel: station.sink.payloads(channel) == [b"x"])
        await wait_until(lambda outcomes=outcomes: outcomes.heard == [1])
        assert [other.channels(f"relay:{channel}") for other in servers] == [other is server for other in servers]
    state = broker.state
    assert state.subscriptions == 2
    assert state.links == {"subscriptions": True, "publications": True}
    assert state.server == ",".join(server.admin.info("server")["run_id"] for server in servers)
    servers[1].kill()
    await wait_until(lambda: not any(broker.state.links.values()))
    assert all("bus" in problem for problem in broker.problems)
    station.say("second", b"waits")
    assert broker.unsettled() == {station.source}
    assert broker.state.buffered[Share.CLIENTS] > 0
    station.say("first", b"y")
    await wait_until(lambda: station.sink.payloads("first") == [b"x", b"y"])
    broker.unsubscribe("first")
    assert broker.state.subscriptions == 1
    await broker.stop()
    assert [channels for channels, _ in station.sink.gaps] == [["second"]], "the other shard has none"


async def test_a_full_socket_is_no_outage_until_the_timeout(own_redis: RedisServer) -> None:
    """A large message, or many at once, take a while to write; meanwhile there is no room for a probe."""
    counters = Counters()
    options = BrokerOptions(own_redis.url, timeout=60, probe_interval=0.1)
    shard = Shard(fixed(parse_address(options.url)), options, RecordingSink(), counters)
    await shard.start()
    await wait_until(lambda: not shard.problems, what=lambda: shard.problems)
    shard.publications.passing = False  # as if it were full; Redis itself goes on
    probes = counters.bus_round_trips.count
    assert await stays_true(lambda: not shard.problems, 0.4)
    assert counters.bus_round_trips.count <= probes + 1
    shard._probe.heard_until -= 61
    await wait_until(lambda: shard.problems == ["bus not probed: its socket takes no more"])
    shard.publications.update()
    await wait_until(lambda: not shard.problems, what=lambda: shard.problems)
    await shard.stop()


async def test_a_gap_names_clients_channels_only(own_redis: RedisServer) -> None:
    """Also those that were unsubscribed while it wasn't certain that they were still heard."""
    station = Station(BrokerOptions(own_redis.url, timeout=0.5, probe_interval=60))
    await station.broker.start()
    await wait_until(lambda: all(station.broker.state.links.values()))
    for channel in ("a", "left", f"{INTERNAL}own", f"{INTERNAL}left"):
        await station.broker.subscribe(channel)
    for channel in ("left", f"{INTERNAL}left"):
        station.broker.unsubscribe(channel)
    own_redis.kill_clients("pubsub")
    await wait_until(lambda: station.sink.gaps)
    assert [channels for channels, _ in station.sink.gaps] == [["a", "left"]]
    await station.broker.stop()


async def test_a_template_is_a_publish_with_the_prefix_of_the_bus() -> None:
    options = BrokerOptions("redis://127.0.0.1:1", prefix="100%:")
    shard = Shard(fixed(parse_address(options.url)), options, RecordingSink(), Counters())
    assert shard.publish_template("c") % (1, b"x") == b"*3\r\n$7\r\nPUBLISH\r\n$6\r\n100%:c\r\n$1\r\nx\r\n"
