"""Pipelines on a Redis that is another one, silent, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from relay.brokers.redis.address import parse_address
from relay.brokers.redis.script_runner import ScriptRunner
from relay.brokers.redis.scripts import make_script
from tests.conftest import RedisFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer

ECHO = make_script("return {'%WORD%', ARGV[1]}", {"WORD": "hello"})

Run = Callable[..., ScriptRunner]


@pytest_asyncio.fixture
async def runner() -> AsyncIterator[Run]:
    """Make runners: `runner(server)`."""
    made: list[ScriptRunner] = []

    def make(server: RedisServer, servers: Callable[[], set[str]] = set, patience: float = 30.0) -> ScriptRunner:
        made.append(ScriptRunner(parse_address(server.url), patience, 2, servers))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def run_id(server: RedisServer) -> str:
    found: str = server.admin.info("server")["run_id"]
    return found


def echo(word: str) -> tuple[str | int, ...]:
    return ("EVALSHA", ECHO.sha, 0, word)


async def test_each_command_has_its_reply(redis_server: RedisServer, runner: Run) -> None:
    commands = [echo("1"), ("GET",), echo("2"), ("EVALSHA", "0" * 40, 0), ("PING",)]
    server, (one, wrong, two, unknown, ping) = await runner(redis_server).run((ECHO,), commands)
    assert server == run_id(redis_server)
    assert (one, two, ping) == ([b"hello", b"1"], [b"hello", b"2"], True)
    assert isinstance(wrong, ResponseError)
    assert isinstance(unknown, NoScriptError)


async def test_a_script_that_was_forgotten_is_loaded_with_the_next_call(own_redis: RedisServer, runner: Run) -> None:
    scripts = runner(own_redis)
    for _ in range(2):
        assert (await scripts.run((ECHO,), [echo("1")])).replies == [[b"hello", b"1"]]
        own_redis.admin.script_flush()


async def test_what_another_redis_answers_is_not_believed(redis_server: RedisServer, runner: Run) -> None:
    known = {run_id(redis_server)}
    scripts = runner(redis_server, lambda: known)
    assert (await scripts.run((), [("PING",)])).replies == [True]
    known.add("another")
    with pytest.raises(RedisConnectionError, match="another Redis has answered"):
        await scripts.run((), [("PING",)])
    known.clear()
    assert (await scripts.run((), [("PING",)])).replies == [True]


async def test_a_redis_that_does_not_say_which_one_it_is_is_believed(own_redis: RedisServer, runner: Run) -> None:
    own_redis.allow("default", "-info")
    assert await runner(own_redis, lambda: {"some"}).run((), [("ECHO", "x")]) == (None, [b"x"])


async def test_nodes_of_a_cluster_are_not_told_apart(redis_with: RedisFactory, runner: Run) -> None:
    server = redis_with(options=["--cluster-enabled", "yes"])
    assert (await runner(server, lambda: {"some"}).run((), [("PING",)])).server is None


async def test_errors_are_explained(own_redis: RedisServer, runner: Run) -> None:
    scripts = runner(own_redis, patience=0.2)
    await scripts.run((), [("PING",)])
    own_redis.pause()
    with pytest.raises(RedisError) as silent:
        await scripts.run((), [("PING",)])
    assert await scripts.explain(silent.value) == f"no answer from 127.0.0.1:{own_redis.port} within 0.2 s"
    own_redis.kill()
    with pytest.raises(RedisError) as gone:
        await scripts.run((), [("PING",)])
    assert (await scripts.explain(gone.value)).startswith("Redis refuses or fails: ")


async def test_its_end_is_that_of_all_its_work(own_redis: RedisServer, runner: Run) -> None:
    scripts = runner(own_redis)
    await scripts.run((), [("PING",)])
    own_redis.pause()
    tasks = [scripts.begin(scripts.run((), [("PING",)]), "test") for _ in range(4)]
    assert scripts.tasks == set(tasks)
    await asyncio.sleep(0)
    await scripts.close()
    assert all(task.done() for task in tasks)
    assert scripts.tasks == set()
    own_redis.resume()


async def test_a_failure_may_be_ignored(redis_server: RedisServer, runner: Run) -> None:
    async def fail() -> None:
        raise ValueError

    scripts = runner(redis_server)
    scripts.begin(fail(), "test")
    await wait_until(lambda: not scripts.tasks)
