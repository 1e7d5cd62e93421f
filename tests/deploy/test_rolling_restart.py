"""deploy/rolling-restart with a `docker` that fails, and with one whose gateways are processes.

tests/compose runs it with a real one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.conditions import wait_until
from tests.harness.load_test import LoadTest
from tests.harness.process_engine import ProcessEngine
from tests.harness.redis_server import RedisServer

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "rolling-restart"


def restart(folder: Path, docker: str) -> subprocess.CompletedProcess[str]:
    """Run it with a script in the place of `docker`, from another folder.

    Args:
        folder: an empty one.
        docker: body of the script; `$*` are the arguments.
    """
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\n{docker}\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    # In a group of its own: a signal reaches all processes of a group, as Ctrl-C does. Not SIGINT: where the tests run
    # in the background, a script can't take it.
    return subprocess.run(
        [SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, start_new_session=True
    )


def test_an_engine_that_does_not_answer_is_told(tmp_path: Path) -> None:
    done = restart(tmp_path, "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    assert done.returncode == 1
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_without_a_stack_there_is_nothing_to_restart(tmp_path: Path) -> None:
    done = restart(tmp_path, "exit 0")
    assert done.returncode == 1
    assert "no gateway runs here; start some: docker compose up" in done.stderr


STACK = """
case "$*" in
"compose ps --quiet gateway") echo old ;;
"compose ps --all --quiet gateway") echo old; echo fresh ;;
"inspect --format {{slice .Name 1}} "*) echo "stack-$4" ;;
"inspect --format {{.State.Status}} {{.State.Health.Status}} fresh") %s ;;
"compose --progress quiet up "*) %s ;;
"stop old") exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("health", "up", "removed"),
    [
        pytest.param("", "echo 'no such image' >&2; exit 1", True, id="it can't be started"),
        pytest.param("kill -TERM 0; sleep 5", "", True, id="interrupted while it waits"),
        pytest.param("echo running healthy", "", False, id="the old one can't be stopped"),
    ],
)
def test_whatever_ends_it_the_state_is_told_and_nothing_is_left_half_done(
    tmp_path: Path, health: str, up: str, removed: bool
) -> None:
    """A gateway that is not yet in the place of another is removed, with a goodbye to the clients that it may have."""
    done = restart(tmp_path, STACK % (health, up))
    assert done.returncode == (130 if "kill" in health else 1)
    assert "0 of 1 gateways replaced; these are running:" in done.stdout
    calls = (tmp_path / "calls").read_text().splitlines()
    ends = [call for call in calls if call in ("stop fresh", "rm --force fresh")]
    assert ends == (["stop fresh", "rm --force fresh"] if removed else [])
    assert "rm --force old" not in calls


CLIENTS = 12
LOAD = (
    *("--resume", "--clients", str(CLIENTS), "--channels", "2", "--publishers", "2", "--rate", "10", "--workers", "1"),
    # Ended by hand, when all gateways are replaced.
    *("--reconnect-every", "3s", "--warm-up", "0s", "--duration", "500s", "--drain", "60s"),
)


async def test_a_rolling_restart_under_load_loses_nothing_for_clients_that_resume(own_redis: RedisServer) -> None:
    """Over events and polls, through a balancer, while connections are cut at random as well."""
    settings = {"history_size": 1000, "drain_delay": 1, "drain_seconds": 2}
    async with (
        ProcessEngine(2, broker_url=own_redis.url, **settings) as engine,
        LoadTest(engine.url, *LOAD) as load_test,
    ):
        old = list(engine.containers)
        connected = CLIENTS + 2
        await wait_until(lambda: engine.balancer.connections >= connected, 60.0, lambda: "clients are connected")
        async with engine.script(SCRIPT, "--timeout", "120") as script, asyncio.timeout(240):
            output, errors = await script.communicate()
        assert script.returncode == 0, (output, errors)
        assert output.decode().endswith("all 2 gateways replaced\n")
        assert not set(old) & set(engine.containers)
        await wait_until(lambda: engine.balancer.connections >= connected, 60.0, lambda: "clients are back")
        load_test.interrupt()
        outcome = await load_test.ended(90.0)
    result, faults = outcome.result, outcome.result.faults
    assert (outcome.code, result.verdict, faults.any) == (130, [], False), (outcome.output, outcome.errors, faults)
    assert (faults.lost, faults.told, faults.missed) == (0, 0, 0)
    assert result.resumption is not None
    assert (result.resumption.events, result.resumption.polls, result.resumption.notices) == (6, 6, 0)
    # Each at least once, for its first gateway is gone; and the gateways said goodbye.
    assert result.resumption.resumed >= CLIENTS
    assert faults.returned["1001 going away"] > 0
    sent = sum(second.sent for second in result.moments)
    assert result.delivered == sent * CLIENTS // 2 > 0
