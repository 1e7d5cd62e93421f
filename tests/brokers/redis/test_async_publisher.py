"""One publisher in several event loops, threads and processes, as back ends use it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay import AsyncPublisher
from relay.brokers.redis.publisher import MAX_CONNECTIONS
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.harness.redis_server import RedisServer


def clients(redis: RedisServer) -> int:
    """Return how many connections a Redis has, but the one that asks."""
    return len(redis.admin.client_list()) - 1


def test_each_of_several_event_loops_in_turn_has_connections_that_end_with_it(own_redis: RedisServer) -> None:
    """As a Celery task has that calls `asyncio.run`, and a view behind `async_to_sync`."""
    publisher = AsyncPublisher(own_redis.url)
    for number in range(5):
        assert asyncio.run(publisher.publish("c", str(number))) == 0
        gc.collect()  # what was not closed would complain
        wait_until_blocking(lambda: clients(own_redis) == 0)
    assert publisher._lifetimes == {}
    asyncio.run(publisher.aclose())


def test_event_loops_in_threads_share_a_publisher(own_redis: RedisServer) -> None:
    publisher = AsyncPublisher(own_redis.url)

    async def publish(number: int) -> set[int]:
        return set(await asyncio.gather(*(publisher.publish("c", f"{number} {n}") for n in range(20))))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: asyncio.run(publish(number)), range(12)))
    assert results == [{0}] * 12
    assert own_redis.calls("publish") == 240
    wait_until_blocking(lambda: clients(own_redis) == 0)


def test_a_loop_that_was_closed_without_its_end_is_forgotten(own_redis: RedisServer) -> None:
    publisher = AsyncPublisher(own_redis.url)
    loops = []
    for _ in range(3):
        loops.append(asyncio.new_event_loop())
        assert loops[-1].run_until_complete(publisher.publish("c", "x")) == 0
        if len(loops) > 1:
            assert len(publisher._lifetimes) == 2
            loops[-2].run_until_complete(loops[-2].shutdown_asyncgens())
            assert len(publisher._lifetimes) == 1
            loops[-2].close()
    loops[-1].run_until_complete(publisher.aclose())
    loops[-1].run_until_complete(asyncio.sleep(0))
    loops[-1].close()
    assert publisher._lifetimes == {}


async def test_connections_are_bounded(own_redis: RedisServer) -> None:
    async with AsyncPublisher(own_redis.url) as publisher:
        most = 0
        tasks = [asyncio.create_task(publisher.publish("c", str(n))) for n in range(100)]
        while not all(task.done() for task in tasks):
            most = max(most, clients(own_redis))
            await asyncio.sleep(0)
        assert 1 <= most <= MAX_CONNECTIONS
    await wait_until(lambda: clients(own_redis) == 0)


async def test_closing_closes_those_of_other_loops_too(own_redis: RedisServer) -> None:
    publisher = AsyncPublisher(own_redis.url)
    published, ended = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def elsewhere() -> None:
        await publisher.publish("c", "x")
        here.call_soon_threadsafe(published.set)
        await wait_until(ended.is_set)

    thread = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(elsewhere())))
    await published.wait()
    await publisher.publish("c", "y")
    await publisher.aclose()
    await wait_until(lambda: clients(own_redis) == 0)
    with pytest.raises(RuntimeError, match="closed"):
        await publisher.publish("c", "z")
    ended.set()
    await thread


def test_a_publisher_survives_a_fork(own_redis: RedisServer) -> None:
    """Children that share it, as Celery's do, write to no socket of their parent; nor do its locks hold them up."""
    program = """
        import asyncio, os, sys, threading
        from relay import AsyncPublisher, Publisher
        url = sys.argv[1]
        plain, with_loop, stopped = Publisher(url), AsyncPublisher(url), threading.Event()
        plain.publish("c", "parent")
        asyncio.run(with_loop.publish("c", "parent"))

        def flood():
            while not stopped.is_set():
                plain.publish("flood", "x")

        async def all_at_once():
            return sum(await asyncio.gather(*(with_loop.publish("c", str(n)) for n in range(20))))

        def work():
            for n in range(20):
                assert plain.publish("c", str(n)) == 0
            assert asyncio.run(all_at_once()) == 0

        async def fork_inside():
            await with_loop.publish("c", "parent")
            if not (child := os.fork()):
                try:
                    threading.Thread(target=work).start()
                finally:
                    for thread in threading.enumerate():
                        if thread is not threading.current_thread():
                            thread.join()
                    os._exit(0)
            await with_loop.publish("c", "parent")
            return child

        thread = threading.Thread(target=flood)
        thread.start()
        children = []
        for _ in range(5):
            if not (child := os.fork()):
                status = 1
                try:
                    work()
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        children.append(asyncio.run(fork_inside()))
        work()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        stopped.set()
        thread.join()
        print(codes)
        plain.close()
        asyncio.run(with_loop.aclose())
    """
    outcome = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            textwrap.dedent(program),
            own_redis.url,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (outcome.stdout, outcome.stderr) == (f"{[0] * 6}\n", "")
    wait_until_blocking(lambda: clients(own_redis) == 0)
