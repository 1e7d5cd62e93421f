"""`relay serve` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from relay.cli.serve import playground_url
from relay.settings import Settings
from tests.cli.command import run, running
from tests.cli.forked_command import ForkedCommand
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer


async def entry(process: Process | ForkedCommand, event: str) -> dict[str, Any]:
    """Read the log up to an event, and return its entry."""
    assert process.stderr is not None
    while line := await process.stderr.readline():
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"the log ended without {event!r}")


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_a_gateway_serves_and_drains(event_loop: str) -> None:
    """On the loop that was asked for; exit code 0."""
    async with running("serve", "--port", "0", RELAY_EVENT_LOOP=event_loop) as process:
        listening = await entry(process, "listening")
        assert listening["event_loop"] == event_loop
        assert (await get(listening["port"], "/healthz")).status == 200
        process.send_signal(signal.SIGTERM)
        await entry(process, "draining")
        await entry(process, "stopped")
        assert await process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_stops_it_at_once(number: signal.Signals) -> None:
    """However long the drain would have taken."""
    async with running("serve", RELAY_PORT=0, RELAY_DRAIN_DELAY=600) as process:
        await entry(process, "listening")
        process.send_signal(signal.SIGTERM)
        await entry(process, "draining")
        process.send_signal(number)
        assert await process.wait() == 128 + number


async def test_a_taken_port_is_one_line() -> None:
    """And exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = await run("serve", "--port", str(port))
    assert outcome.code == 1
    assert outcome.errors == (
        f"relay: cannot listen on 127.0.0.1 port {port}: it is taken; choose another with --port or RELAY_PORT\n"
    )


async def test_wrong_settings_are_listed() -> None:
    """On standard error, with exit code 2."""
    outcome = await run("serve", "--slow-consumer", "wait", RELAY_PORT="many")
    assert outcome.code == 2
    assert outcome.output == ""
    assert outcome.errors.startswith("relay: 2 settings are wrong\n")


async def test_unknown_variables_are_logged(tmp_path: Path) -> None:
    """With the nearest name, before anything else."""
    (tmp_path / ".env").write_text("RELAY_WELCOM=hello\n")
    async with running("serve", RELAY_PORT=0, RELAY_PROT=1) as process:
        first, second = await entry(process, "unknown setting"), await entry(process, "unknown setting")
        assert (first["variable"], first["source"], first["nearest"]) == ("RELAY_WELCOM", ".env", "RELAY_WELCOME")
        assert (second["variable"], second["source"], second["nearest"]) == ("RELAY_PROT", "env", "RELAY_PORT")
        assert first["level"] == "warning"
        await entry(process, "listening")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def on_terminal_until(text: str, *arguments: str, **environment: Any) -> str:
    """Run the command with a terminal for its log, drain it once it has written a text, and return all of it."""
    with new_terminal() as (terminal, stderr):
        async with running("serve", *arguments, output=PIPE, errors=stderr, **environment) as process:
            return await shown_until(text, terminal, process)


@contextmanager
def new_terminal() -> Iterator[tuple[int, int]]:
    """Open a terminal: the descriptor to read from, and the one that a process writes to."""
    terminal, written = pty.openpty()
    try:
        yield terminal, written
    finally:
        os.close(written)
        os.close(terminal)


async def shown_until(text: str, terminal: int, process: Process | ForkedCommand) -> str:
    """Read a terminal up to a text, drain the gateway, and return what the terminal has shown."""
    shown = ""
    while text not in shown:
        shown += (await asyncio.to_thread(os.read, terminal, 65536)).decode()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    return shown


SLOW_LOG = """
import time
from relay.cli import main
from relay.logs.writer import LogWriter

write = LogWriter._write
LogWriter._write = lambda writer, data: time.sleep(0.2) or write(writer, data)
main(["serve", "--port", "0"])
"""


async def test_what_to_open_is_told_below_the_log() -> None:
    """However long the thread that writes the log takes."""
    with new_terminal() as (terminal, stderr):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", SLOW_LOG, stderr=stderr)
        try:
            shown = await shown_until("Open ", terminal, process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert shown.index("listening") < shown.index("Open ")


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_person_at_a_terminal_is_told_what_to_open(workers: int, redis_server: RedisServer) -> None:
    """With the real port, after everything else that is printed at the start."""
    port = free_port()
    opened = f"Open http://127.0.0.1:{port}/\r\n"
    shown = await on_terminal_until(
        opened, "--port", str(port), RELAY_BROKER_URL=redis_server.url, RELAY_WORKERS=workers, RELAY_LOG_LEVEL="error"
    )
    assert shown == opened


@pytest.mark.parametrize(
    ("settings", "times"),
    [({}, 1), ({"RELAY_AUTH": "key", "RELAY_AUTH_KEYS": "a-key-0123456789"}, 0), ({"RELAY_RIGHTS": "news=r"}, 0)],
)
async def test_that_everybody_may_do_everything_is_told_once(settings: dict[str, str], times: int) -> None:
    shown = await on_terminal_until("Open ", RELAY_PORT=0, **settings)
    assert shown.count("every client may use every channel") == times


async def test_the_page_is_announced_on_a_terminal_only_and_where_there_is_one() -> None:
    """A log stays a log."""
    shown = await on_terminal_until("listening", RELAY_PORT=0, RELAY_DEMO="off")
    assert "Open" not in shown
    async with running("serve", RELAY_PORT=0) as process:
        await entry(process, "listening")
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert b"Open" not in errors


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (["127.0.0.1"], "http://127.0.0.1:9000/"),
        (["0.0.0.0"], "http://127.0.0.1:9000/"),
        (["::"], "http://[::1]:9000/"),
        (["::1", "127.0.0.1"], "http://[::1]:9000/"),
        (["relay.example"], "http://relay.example:9000/"),
    ],
)
def test_the_address_of_the_page_works_on_this_machine(host: list[str], expected: str) -> None:
    assert playground_url(Settings(host=host), 9000) == expected  # type: ignore[arg-type]


async def test_an_authenticator_that_is_not_there_is_a_wrong_setting() -> None:
    """Before anything listens."""
    outcome = await run("serve", RELAY_PORT=0, RELAY_AUTH="nowhere.auth.identify")
    assert outcome.code == 2
    assert "  RELAY_AUTH\n    given:    'nowhere.auth.identify' (env)\n" in outcome.errors
    assert "importing nowhere.auth fails: No module named 'nowhere'" in outcome.errors
    outcome = await run("serve", "--port", "0", "--auth", "json.dumps")
    assert outcome.code == 2
    assert "given:    'json.dumps' (--auth)" in outcome.errors
    assert "this one is no `async def`" in outcome.errors
