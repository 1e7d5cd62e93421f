"""A gateway of several processes: numbers, crashes, drains, hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

WITHIN = PATIENCE_SECONDS


async def metrics(port: int) -> dict[str, float]:
    """Return the metrics without labels."""
    page = (await get(port, "/metrics")).text
    families = text_string_to_metric_families(page)
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def clients_by_worker(gateway: GatewayProcess) -> Counter[int]:
    """Return how many clients each worker has accepted, by its own log."""
    return Counter(int(record["worker"]) for record in gateway.records("connected"))


def gone(pid: int) -> bool:
    """Return whether a process has ended, with all its threads; a zombie has."""
    try:
        ended = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
        return ended and len(os.listdir(f"/proc/{pid}/task")) == 1  # the last one closes its sockets
    except FileNotFoundError:
        return True


def children(pid: int) -> str:
    """Return the process ids of a process's children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


async def test_messages_cross_workers_and_numbers_add_up(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "log_level": "debug", "workers": 3}
    (gateway,) = await gateways(1, **settings)
    assert len(set(gateway.workers.values())) == 3
    assert {record["port"] for record in gateway.records("listening")} == {gateway.port}
    async with connected(*[f"{gateway.url}/ws/a"] * 90) as clients:
        # By the kernel's hash of the addresses: 30 each on average; the chance of fewer than 8 is one in a million.
        await wait_until(lambda: clients_by_worker(gateway).total() == 90)
        spread = clients_by_worker(gateway)
        assert sorted(spread) == [1, 2, 3]
        assert min(spread.values()) >= 8
        for number, sender in enumerate(clients[:10]):
            await sender.send(f"hello {number}")
        for number, client in enumerate(clients):
            expected = [f"hello {other}" for other in range(10) if other != number]
            assert sorted(await client.receive(len(expected))) == expected
        # Whichever worker answers.
        for _ in range(6):
            shown = await metrics(gateway.port)
            assert shown["relay_connections_open"] == shown["relay_connections_accepted_total"] == 90
            assert shown["relay_messages_received_total"] == 10
            assert shown["relay_deliveries_total"] == 10 * 89
            assert (shown["relay_ready"], shown["relay_processes"]) == (1, 3)
        assert shown["relay_worker_restarts_total"] == 0
    await wait_for_open(gateway.port, 0)


async def wait_for_open(port: int, count: int) -> None:
    """Wait until so many clients are connected."""

    async def so_many() -> bool:
        return (await metrics(port))["relay_connections_open"] == count

    await wait_until(so_many, WITHIN, f"{count} clients are connected")


async def test_a_killed_worker_is_replaced_and_its_clients_come_back(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, log_level="debug", workers=2)
    killed = gateway.workers[2]
    async with connected(*[f"{gateway.url}/ws/a"] * 40) as clients:
        await wait_until(lambda: clients_by_worker(gateway).total() == 40)
        theirs = clients_by_worker(gateway)[2]
        assert 0 < theirs < 40
        # What a worker had counted before its last survey is kept, so totals never go down.
        await wait_for_open(gateway.port, 40)
        before = await metrics(gateway.port)
        os.kill(killed, signal.SIGKILL)
        await wait_until(lambda: sum(not client.is_open for client in clients) == theirs, WITHIN)
        await wait_until(lambda: gateway.workers[2] != killed, WITHIN, "another process has started")
        await gateway.ready(within=WITHIN)
        after = await metrics(gateway.port)
        assert after["relay_worker_restarts_total"] == 1
        assert after["relay_connections_accepted_total"] == before["relay_connections_accepted_total"]
        assert after["relay_connections_open"] == 40 - theirs
        assert after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"]
        (record,) = gateway.records("worker ended")
        assert (record["worker"], record["why"]) == (2, "ended by SIGKILL")

        async with connected(*[f"{gateway.url}/ws/a"] * theirs) as back:
            here = [client for client in [*clients, *back] if client.is_open]
            assert len(here) == 40
            await here[0].send("hello again")
            for client in here[1:]:
                assert (await client.receive(1))[-1] == "hello again"
            await wait_for_open(gateway.port, 40)
            assert (await metrics(gateway.port))["relay_connections_accepted_total"] == 40 + theirs


async def test_a_worker_that_is_terminated_is_replaced(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    """It drains first."""
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, workers=2)
    first = gateway.workers[1]
    os.kill(first, signal.SIGTERM)
    await wait_until(lambda: gateway.workers[1] != first, WITHIN)
    await gateway.ready(within=WITHIN)
    assert gateway.records("stopped")[0]["worker"] == 1


async def test_a_signal_drains_all(redis_server: RedisServer, prefix: str, gateways: GatewayFactory) -> None:
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "drain_delay": 3, "drain_seconds": 1}
    (gateway,) = await gateways(1, workers=3, **settings)
    async with connected(*[f"{gateway.url}/ws/a"] * 30) as clients:
        gateway.signal(signal.SIGTERM)

        async def all_drain() -> bool:
            return bool((await get(gateway.port, "/readyz")).json["reasons"] == ["draining"])

        await wait_until(all_drain, WITHIN)
        assert all(client.is_open for client in clients)
        assert [await client.ended() for client in clients] == [(1001, "going away")] * 30
        await wait_until(lambda: not gateway.running, WITHIN)
    assert gateway.exit_code == 0
    assert sorted(record["worker"] for record in gateway.records("stopped")) == [1, 2, 3]
    assert not gateway.records("worker ended")
    with pytest.raises(ConnectionRefusedError):
        await get(gateway.port, "/healthz")


async def test_ctrl_c_reaches_all_processes_and_is_one_signal(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, drain_seconds=1, workers=2)
    async with connected(*[f"{gateway.url}/ws/a"] * 10) as clients:
        for pid in [*gateway.workers.values(), gateway.pid]:
            os.kill(pid, signal.SIGINT)
        assert [await client.ended() for client in clients] == [(1001, "going away")] * 10
        await wait_until(lambda: not gateway.running, WITHIN)
    assert gateway.exit_code == 0


async def test_a_second_signal_ends_all_at_once(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, drain_seconds=600, workers=2)
    pids = gateway.workers.values()
    async with connected(*[f"{gateway.url}/ws/a"] * 10):
        gateway.signal(signal.SIGTERM)
        await wait_until(lambda: len(gateway.records("draining")) == 2, WITHIN)
        began = time.monotonic()
        gateway.signal(signal.SIGINT)
        await wait_until(lambda: not gateway.running, WITHIN)
        assert time.monotonic() - began < 10
    assert gateway.exit_code == 128 + signal.SIGINT
    assert all(gone(pid) for pid in pids)
    gateway.kill()


async def test_no_worker_outlives_its_supervisor(redis_server: RedisServer, prefix: str) -> None:
    """Not even one that hangs. The port is free again."""
    gateway = GatewayProcess(broker_url=redis_server.url, broker_prefix=prefix, workers=2, drain_seconds=600)
    try:
        await gateway.listening()
        await gateway.ready(within=WITHIN)
        pids = list(gateway.workers.values())
        async with connected(*[f"{gateway.url}/ws/a"] * 4):
            os.kill(pids[0], signal.SIGSTOP)
            gateway.kill()
            await wait_until(lambda: all(gone(pid) for pid in pids), WITHIN, "the workers are gone")
        with pytest.raises(ConnectionRefusedError):
            await get(gateway.port, "/healthz")
    finally:
        gateway.close()


async def test_a_hung_worker_is_noticed_and_delays_no_scrape(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    port = free_port()
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "metrics_port": port, "worker_timeout": 3600}
    (gateway,) = await gateways(1, workers=2, **settings)
    async with connected(*[f"{gateway.url}/ws/a"] * 20):
        await wait_for_open(port, 20)
        os.kill(gateway.workers[1], signal.SIGSTOP)
        try:

            async def seen() -> bool:
                return (await metrics(port))["relay_silent_processes"] == 1

            await wait_until(seen, WITHIN)
            shown = await metrics(port)
            # Its clients are still there.
            assert (shown["relay_connections_open"], shown["relay_processes"], shown["relay_ready"]) == (20, 2, 0)
            ready = await get(port, "/readyz")
            assert (ready.status, ready.json["reasons"]) == (503, ["worker 1: it does not answer"])
            assert (await get(port, "/healthz")).status == 200
        finally:
            os.kill(gateway.workers[1], signal.SIGCONT)

        async def ready_again() -> bool:
            return (await get(port, "/readyz")).status == 200

        await wait_until(ready_again, WITHIN)
        assert (await metrics(port))["relay_worker_restarts_total"] == 0
    assert "relay_build_info{" in (await get(port, "/metrics")).text


async def test_one_worker_is_one_process(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, workers=1)
    assert children(gateway.pid) == ""
    (record,) = gateway.records("listening")
    assert "worker" not in record


async def test_the_clients_of_other_workers_survive_a_crash_loop(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    """And the worker that crashes is started again after ever longer pauses."""
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, log_level="debug", workers=2)
    async with connected(*[f"{gateway.url}/ws/a"] * 20) as clients:
        steady: list[WebSocketClient] = []
        for _ in range(3):
            pid = gateway.workers[1]
            os.kill(pid, signal.SIGKILL)
            await wait_until(lambda pid=pid: gateway.workers[1] != pid, WITHIN)
            steady = [client for client in clients if client.is_open]
        assert steady
        assert await stays_true(lambda: all(client.is_open for client in steady), 0.2)
        pauses = [record["again_in"] for record in gateway.records("worker ended")]
        assert len(pauses) == 3
        assert pauses[0] < pauses[1] < pauses[2]
        await asyncio.gather(*(client.flushed() for client in steady))
        await gateway.ready(within=WITHIN)
