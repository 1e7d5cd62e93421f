"""Watching servers over a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from relay.loadtest.target.observer import Checkpoint, Observer
from relay.loadtest.target.process_tree import ProcessTreeError
from relay.loadtest.target.redis_meter import RedisMeterError
from tests.harness.busy_process import BusyProcess
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer


@pytest.fixture
def servers() -> Iterator[tuple[BusyProcess, BusyProcess]]:
    """Two processes that stand for gateways."""
    with BusyProcess() as first, BusyProcess() as second:
        yield first, second


def pids(servers: tuple[BusyProcess, BusyProcess]) -> dict[str, int]:
    """Return the servers by name."""
    return {f"gateway {number}": server.pid for number, server in enumerate(servers, 1)}


async def test_use_is_told_per_delivery_and_connection(servers: tuple[BusyProcess, BusyProcess]) -> None:
    """From exact reads at the checkpoints, whatever happens in between."""
    async with Observer(pids(servers)) as observer:
        await observer.checkpoint(Checkpoint.BEFORE, 0.0, 0)
        servers[0].burn(0.02)
        servers[0].hoard(30_000_000)
        await observer.checkpoint(Checkpoint.SETTLED, 5.0, 2000)
        observer.sample(6.0, 2000)
        servers[1].hoard(10_000_000)
        servers[1].burn(0.05)
        await observer.checkpoint(Checkpoint.MEASURE_BEGINS, 8.0, 2000)
        servers[0].burn(0.1)
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 18.0, 2000)
        servers[0].burn(0.05)
        observer.sample(20.0, 0)
    first, second = observer.processes(deliveries=10_000)
    assert (first.name, first.pid) == ("gateway 1", servers[0].pid)
    assert [(sample.moment, sample.connections) for sample in first.samples] == [
        (0.0, 0),
        (5.0, 2000),
        (6.0, 2000),
        (8.0, 2000),
        (18.0, 2000),
        (20.0, 0),
    ]
    assert first.cpu_per_delivery == pytest.approx(0.1 / 10_000, rel=0.1)
    assert first.cpu_per_connection == pytest.approx(0.1 / 10 / 1000, rel=0.1)
    assert first.rss_per_connection == pytest.approx(30_000, rel=0.05)
    assert second.cpu_per_delivery == pytest.approx(0, abs=1e-6)
    assert second.rss_per_connection == pytest.approx(0, abs=500)
    assert observer.notes == []
    assert observer.redis_use(1) is None


async def test_without_deliveries_and_connections_there_is_no_share(servers: tuple[BusyProcess, BusyProcess]) -> None:
    """Rather than a division by zero."""
    async with Observer(pids(servers)) as observer:
        for checkpoint in Checkpoint:
            await observer.checkpoint(checkpoint, 1.0, 0)
    process = observer.processes(deliveries=0)[0]
    assert (process.cpu_per_delivery, process.cpu_per_connection, process.rss_per_connection) == (None, None, None)
    assert len(process.samples) == 4


async def test_without_marks_there_is_no_share(servers: tuple[BusyProcess, BusyProcess]) -> None:
    """A run that was interrupted in its ramp."""
    async with Observer(pids(servers)) as observer:
        observer.sample(1.0, 10)
    process = observer.processes(deliveries=10)[0]
    assert (process.cpu_per_delivery, process.cpu_per_connection, process.rss_per_connection) == (None, None, None)
    assert len(process.samples) == 1


async def test_a_server_that_ends_is_noted_once(servers: tuple[BusyProcess, BusyProcess]) -> None:
    """What was seen of it until then is kept, the other is watched on."""
    async with Observer(pids(servers)) as observer:
        await observer.checkpoint(Checkpoint.MEASURE_BEGINS, 1.0, 10)
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 2.0, 10)
        servers[0].end()
        assert list(observer.sample(3.04, 10)) == ["gateway 2"]
        # The end of a later step of a sweep.
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 4.0, 10)
    first, second = observer.processes(deliveries=10)
    assert observer.notes == [f"gateway 1 (process {servers[0].pid}) ended 3.0 s after the start"]
    assert (len(first.samples), len(second.samples)) == (2, 4)
    assert first.cpu_per_delivery is None
    assert second.cpu_per_delivery is not None


def test_a_server_that_is_not_there_is_refused() -> None:
    """Before anything has been connected."""
    with pytest.raises(ProcessTreeError, match="process 999999999: there is no such process"):
        Observer({"gateway 1": os.getpid(), "gateway 2": 999_999_999})


async def test_use_of_redis_is_told(own_redis: RedisServer) -> None:
    """In the measure phase only."""
    async with Observer({}, own_redis.url) as observer:
        own_redis.admin.publish("channel", "x")
        await observer.checkpoint(Checkpoint.SETTLED, 5.0, 10)
        await observer.checkpoint(Checkpoint.MEASURE_BEGINS, 10.0, 10)
        for _ in range(1000):
            own_redis.admin.publish("channel", "x")
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 20.0, 10)
        use = observer.redis_use(messages=1000)
        assert use is not None
        assert use.url == own_redis.url
        assert use.commands_rate == 100
        assert use.cpu_per_message is not None
        assert use.cpu_share == pytest.approx(use.cpu_per_message * 100)
        assert 0 < use.cpu_per_message < 0.001
        silent = observer.redis_use(messages=0)
        assert silent is not None
        assert silent.cpu_per_message is None


async def test_a_redis_that_is_not_there_is_refused_on_entry() -> None:
    """Before anything has been connected."""
    observer = Observer({}, f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(RedisMeterError):
        await observer.__aenter__()


async def test_a_redis_that_goes_away_is_noted(own_redis: RedisServer) -> None:
    """The run goes on."""
    async with Observer({}, own_redis.url) as observer:
        await observer.checkpoint(Checkpoint.MEASURE_BEGINS, 1.0, 10)
        own_redis.kill()
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 2.0, 10)
    assert observer.redis_use(messages=1) is None
    assert len(observer.notes) == 1
    assert observer.notes[0].startswith(f"Redis at {own_redis.url}: ")


async def test_a_redis_that_was_restarted_is_noted(own_redis: RedisServer) -> None:
    """The difference of two counts would mean nothing."""
    async with Observer({}, own_redis.url) as observer:
        await observer.checkpoint(Checkpoint.MEASURE_BEGINS, 1.0, 10)
        own_redis.restart()
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 2.0, 10)
        await observer.checkpoint(Checkpoint.MEASURE_ENDS, 3.0, 10)
    assert observer.redis_use(messages=1) is None
    assert observer.notes[-1] == f"Redis at {own_redis.url} was restarted while it was measured"
