"""The process of the supervisor: what it refuses, and its exit code."""

from __future__ import annotations

import socket
import sys

import pytest

from relay.cli import supervisor_process
from relay.cli.supervisor_process import count_workers, run_workers
from relay.settings import Settings
from relay.workers.timing import Timing
from tests.cli.command import run

REDIS = "redis://127.0.0.1:1"


def test_auto_is_one_for_each_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_process, "usable_processors", lambda: 6)
    assert count_workers(Settings(workers="auto", broker_url=REDIS)) == 6
    assert count_workers(Settings(workers=2, broker_url=REDIS)) == 2
    assert count_workers(Settings()) == 1


@pytest.mark.parametrize("given", ["4", "auto"])
async def test_without_a_bus_more_than_one_is_refused(given: str) -> None:
    """They could not hear each other."""
    outcome = await run("serve", RELAY_WORKERS=given)
    assert outcome.code == 2
    assert f"given:    '{given}' (env)" in outcome.errors
    assert "more than 1 needs Redis: memory:// can't connect processes, see RELAY_BROKER_URL" in outcome.errors


@pytest.mark.parametrize("shared", [False, True])
async def test_a_taken_port_is_one_line(shared: bool) -> None:
    """Also when the other program would share it."""
    with socket.socket() as taken:
        if shared:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = await run("serve", RELAY_PORT=port, RELAY_WORKERS=2, RELAY_BROKER_URL=REDIS)
    assert outcome.code == 1
    assert outcome.errors == (
        f"relay: cannot listen on 127.0.0.1 port {port}: it is taken; choose another with --port or RELAY_PORT\n"
    )


@pytest.mark.parametrize(
    ("script", "code"),
    [("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137), ("pass", 1)],
)
def test_the_exit_code_is_that_of_a_worker_that_can_not_start(
    capsys: pytest.CaptureFixture[str], script: str, code: int
) -> None:
    """And its reason is the only line."""
    settings = Settings(workers=2, port=0, broker_url=REDIS)
    command = (sys.executable, "-S", "-c", script)
    assert run_workers(settings, 2, command=command, timing=Timing(first_pause=0.05)) == code
    errors = capsys.readouterr().err
    assert errors.startswith("relay: worker ")
    assert "did not start, 3 times in a row: ended" in errors


async def test_an_authenticator_that_is_not_there_is_a_wrong_setting() -> None:
    """No worker is tried again: another one would fail as well."""
    given = {"RELAY_BROKER_URL": REDIS, "RELAY_PORT": 0, "RELAY_AUTH": "nowhere.auth.identify"}
    outcome = await run("serve", RELAY_WORKERS=2, **given)
    assert outcome.code == 2
    assert "relay: no worker can start: RELAY_AUTH: got 'nowhere.auth.identify'" in outcome.errors
    assert "importing nowhere.auth fails: No module named 'nowhere'" in outcome.errors
    assert outcome.errors.count("worker started") <= 2
