"""Servers of its own: started, ready, and gone at the end, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from relay.loadtest.target import stack
from relay.loadtest.target.stack import Stack, StackError
from tests.harness import guard
from tests.harness.conditions import PATIENCE_SECONDS, wait_until, wait_until_blocking
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting from outside, an empty working folder; every process that a stack starts ends with the test run."""
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    started: list[int] = []

    class Watched(stack._Server):
        def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
            super().__init__(name, command, log, environment)
            guard.watch(self.pid)
            started.append(self.pid)

    monkeypatch.setattr(stack, "_Server", Watched)
    yield
    for pid in started:
        assert not psutil.pid_exists(pid)
        guard.unwatch(pid)


def gone(pid: int) -> bool:
    """Return whether a process has ended; where nobody takes in orphans, it stays as a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def port_of(url: str) -> int:
    """Return the port of a gateway's URL."""
    return int(url.rpartition(":")[2])


async def test_one_gateway_needs_no_redis() -> None:
    """It is ready on entry and gone on exit."""
    with Stack(1) as started:
        assert started.redis_url is None
        assert started.redis_pid is None
        assert list(started.pids) == ["gateway 1"]
        assert started.urls[0].startswith("ws://127.0.0.1:")
        assert (await get(port_of(started.urls[0]), "/readyz")).status == 200
        assert psutil.pid_exists(started.pids["gateway 1"])
    assert not psutil.pid_exists(started.pids["gateway 1"])
    assert started.deaths == []


async def test_several_gateways_share_a_redis_of_their_own() -> None:
    """Without persistence; it ends with them."""
    with Stack(2) as started:
        assert len(set(started.urls)) == len(started.pids) == 2
        for url in started.urls:
            assert (await get(port_of(url), "/readyz")).status == 200
        assert started.redis_url is not None
        assert started.redis_pid is not None
        with redis.Redis.from_url(started.redis_url) as client:
            info = client.info()
            assert info["process_id"] == started.redis_pid
            assert info["aof_enabled"] == 0
            assert client.config_get("save") == {"save": ""}
            assert len(client.pubsub_channels("*")) > 0
    assert not psutil.pid_exists(started.redis_pid)


async def test_a_redis_of_the_settings_is_used(redis_server: RedisServer) -> None:
    """And left alone at the end."""
    with Stack(1, redis_server.url) as started:
        assert (started.redis_url, started.redis_pid) == (redis_server.url, None)
        assert (await get(port_of(started.urls[0]), "/readyz")).status == 200
    assert redis_server.running


def test_settings_of_the_environment_reach_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where they would listen and how they log; and none with its password is told."""
    monkeypatch.setenv("RELAY_WELCOME", "hello")
    monkeypatch.setenv("RELAY_HOST", "192.0.2.1")
    monkeypatch.setenv("RELAY_PORT", "1")
    monkeypatch.setenv("RELAY_LOG_LEVEL", "error")
    monkeypatch.setenv("RELAY_LOG_FORMAT", "console")
    monkeypatch.setenv("RELAY_DRAIN_SECONDS", "3600")
    with Stack(1) as started:
        assert psutil.Process(started.pids["gateway 1"]).environ()["RELAY_WELCOME"] == "hello"
        assert started.settings["RELAY_WELCOME"] == "hello"
        assert started.settings["RELAY_PORT"] == "0"
        assert started.settings["RELAY_BROKER_URL"] == "memory://"


def test_what_the_environment_says_is_stronger_than_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_HISTORY_SIZE", "7")
    with Stack(1, defaults={"RELAY_HISTORY_SIZE": "10", "RELAY_HISTORY_TTL": "20"}) as started:
        assert (started.settings["RELAY_HISTORY_SIZE"], started.settings["RELAY_HISTORY_TTL"]) == ("7", "20")


def test_no_secret_of_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports show the settings, and are passed on."""
    for name in ("API_KEYS", "AUTH_KEYS", "JWT_SECRET", "JWT_PREVIOUS_SECRET", "TOKEN", "MISTYPED_PASSWORD"):
        monkeypatch.setenv(f"RELAY_{name}", "0123456789-hunter2-0123456789-abcdef")
    monkeypatch.setenv("RELAY_BROKER_PREFIX", "hello:")
    with Stack(1) as started:
        assert "hunter2" not in str(started.settings)
        assert started.settings["RELAY_API_KEYS"] == "***"
        assert started.settings["RELAY_BROKER_PREFIX"] == "hello:"


def test_the_working_folder_hides_no_library(tmp_path: Path) -> None:
    """A folder with a redis.py in it is a common place for a test."""
    (tmp_path / "redis.py").write_text("raise SystemExit('the wrong file')")
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong file')")
    with Stack(1) as started:
        assert len(started.urls) == 1


def test_wrong_settings_show_what_the_gateway_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its log is the explanation."""
    monkeypatch.setenv("RELAY_PING_INTERVAL", "often")
    with pytest.raises(StackError, match="gateway 1 ended with exit code 2 while it started") as caught, Stack(1):
        pass
    assert "RELAY_PING_INTERVAL" in str(caught.value)
    assert "'often'" in str(caught.value)


def test_a_redis_that_is_away_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gateway's log, without the password."""
    patient = stack._Server.wait_for

    def impatient(server: stack._Server, ready: Callable[[], bool], deadline: float) -> None:
        wait_until_blocking(lambda: server.records("starting"), 20)
        patient(server, ready, deadline - stack.START_SECONDS)

    monkeypatch.setattr(stack._Server, "wait_for", impatient)
    with pytest.raises(StackError, match=r"gateway 1 was not ready within 30 s; the end of its log:") as caught:
        Stack(1, "redis://user:secret@127.0.0.1:1/0").__enter__()
    assert '"starting"' in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_redis_server_is_told_with_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError) as caught:
        Stack(2).__enter__()
    assert str(caught.value) == (
        "2 gateways need a Redis, and redis-server is not installed: install it (apt-get install redis-server, "
        "brew install redis), name a running one with RELAY_BROKER_URL, or start one gateway"
    )


def test_a_redis_that_cannot_start_shows_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such as one whose port was taken in the meantime."""
    with RedisServer() as other:
        monkeypatch.setattr(stack, "_free_port", lambda: other.port)
        monkeypatch.setattr(stack, "_answers_ping", lambda _port: False)
        with pytest.raises(StackError, match="redis-server ended with exit code 1 while it started") as caught:
            Stack(2).__enter__()
    assert "Address already in use" in str(caught.value)


def test_a_gateway_that_died_meanwhile_is_told() -> None:
    """Its log would be gone with it."""
    with Stack(1) as started:
        victim = psutil.Process(started.pids["gateway 1"])
        victim.kill()
        # Not its status: its first thread is a zombie while others are still exiting.
        wait_until_blocking(lambda: not started._gateways[0].running)
    assert len(started.deaths) == 1
    assert started.deaths[0].startswith("gateway 1 ended with exit code -9 during the run; the end of its log:\n{")


def test_a_gateway_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while."""
    monkeypatch.setattr(stack, "STOP_SECONDS", 0.2)
    with Stack(1) as started:
        psutil.Process(started.pids["gateway 1"]).suspend()
    assert not psutil.pid_exists(started.pids["gateway 1"])


def test_everything_ends_after_an_error() -> None:
    """Of the load test itself."""
    with pytest.raises(RuntimeError, match="a mistake"), Stack(2) as started:
        raise RuntimeError("a mistake")
    assert not any(psutil.pid_exists(pid) for pid in started.pids.values())


_PROGRAM = """
import signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs these tests under nohup has it ignored
from relay.loadtest.target.stack import Stack
with Stack(2) as stack:
    try:
        print(*stack.pids.values(), stack.redis_pid, flush=True)
        for _ in range(600):  # a signal just before a long sleep would be noticed after it
            time.sleep(0.1)
    except KeyboardInterrupt:
        print(*(open(f"/proc/{pid}/stat").read().split()[2] for pid in stack.pids.values()), flush=True)
        raise
"""


@contextmanager
def in_a_terminal(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a load test that only waits, in a process group of its own as a shell does; its files are in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def test_ctrl_c_reaches_the_load_test_only(tmp_path: Path) -> None:
    """The gateways serve until it has closed its connections; then they end."""
    with in_a_terminal(tmp_path) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(process.stdout.readline)).split()]
        for pid in pids:
            guard.watch(pid)
        assert len(pids) == 3
        os.killpg(process.pid, signal.SIGINT)
        output, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE_SECONDS)
        assert "Z" not in output
        assert "KeyboardInterrupt" in errors
        assert all(gone(pid) for pid in pids)
        assert os.listdir(tmp_path) == []
        for pid in pids:
            guard.unwatch(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
async def test_servers_do_not_outlive_the_load_test(number: signal.Signals, tmp_path: Path) -> None:
    """Even when it has no time to end them, as when its terminal is closed."""
    with in_a_terminal(tmp_path) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(process.stdout.readline)).split()]
        for pid in pids:
            guard.watch(pid)
        process.send_signal(number)
        await wait_until(lambda: all(gone(pid) for pid in pids) and not os.listdir(tmp_path), 20)
        for pid in pids:
            guard.unwatch(pid)
