"""Every command with standard streams that are closed, full, without a reader, or in a narrow encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import ROOT
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

RELAY = f"{sys.executable} -m relay"


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    """A gateway for the commands."""
    gateway = GatewayProcess(welcome="grüß 雪")
    gateway.start_blocking()
    yield gateway
    end([gateway])


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of Bash in a folder of its own; `relay` is the command."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; relay() {{ {RELAY} "$@"; }}; {line}'],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=50,
    )


def check(outcome: subprocess.CompletedProcess[bytes], code: int) -> None:
    """Check the exit code, and that the output shows no fault of the program."""
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == code, said
    for sign in (b"Traceback", b"Exception ignored", b"Errno", b"Error:\n"):
        assert sign not in said


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(gateway: GatewayProcess, tmp_path: Path, closed: str) -> None:
    """Their output is discarded, and doesn't go into the next socket; the exit code is that of the work."""
    at = f"http://127.0.0.1:{gateway.port}"
    lines = {
        f"relay health --url {at}": 0,
        f"relay publish lobby hi --gateway {at}": 0,
        f"relay subscribe lobby --count 1 --gateway {at}": 0,
        "relay config --port many": 2,
    }
    for line, code in lines.items():
        check(shell(f"{line} {closed}", tmp_path), code)


def test_a_gateway_without_any_stream(redis_server: RedisServer, tmp_path: Path) -> None:
    """Its workers have none either; it drains as any other does."""
    port = free_port()
    serve = f"{RELAY} serve --port {port} --workers 2 --broker-url {redis_server.url} --drain-seconds 0"
    ready = f"until relay health --url http://127.0.0.1:{port}; do sleep 0.1; done >/dev/null 2>&1"
    check(shell(f"{serve} <&- >&- 2>&- & {ready}; kill $!; wait $!", tmp_path), 0)


def test_a_message_is_not_read_from_a_closed_input(gateway: GatewayProcess, tmp_path: Path) -> None:
    """It would be an empty one."""
    outcome = shell(f"relay publish lobby --gateway http://127.0.0.1:{gateway.port} <&-", tmp_path)
    check(outcome, 2)
    assert b"standard input is closed" in outcome.stderr


def test_a_full_disk(gateway: GatewayProcess, tmp_path: Path) -> None:
    """A command whose output is its work fails, in words; another one still succeeds."""
    at = f"http://127.0.0.1:{gateway.port}"
    full = b"standard output can't be written: No space left on device"
    for line in ("config", "--help", f"subscribe lobby --count 1 --gateway {at}"):
        outcome = shell(f"relay {line} >/dev/full", tmp_path)
        check(outcome, 1)
        assert outcome.stderr.splitlines()[-1] == b"relay: " + full
    for line in (f"health --url {at}", f"publish lobby hi --gateway {at}"):
        outcome = shell(f"relay {line} >/dev/full", tmp_path)
        check(outcome, 0)
        assert full in outcome.stderr
    for line, code in {f"health --url {at}": 0, "config --port many": 2}.items():
        check(shell(f"relay {line} 2>/dev/full", tmp_path), code)


def test_a_reader_that_closes_the_pipe(gateway: GatewayProcess, tmp_path: Path) -> None:
    """As `head` does."""
    at = f"http://127.0.0.1:{gateway.port}"
    outcome = shell(f"relay subscribe lobby --gateway {at} | head -1; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert outcome.stdout.decode() == "grüß 雪\n0\n"
    check(outcome, 0)
    check(shell("relay config --markdown | true; [ ${PIPESTATUS[0]} -le 1 ]", tmp_path), 0)


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}],
    ids=["ascii", "C"],
)
def test_encodings(gateway: GatewayProcess, tmp_path: Path, environment: dict[str, str]) -> None:
    """Characters that they lack are escaped; a message is sent as it was given."""
    at = f"http://127.0.0.1:{gateway.port}"
    (tmp_path / ".env").write_text("RELAY_WELCOME=雪\n")
    outcome = shell(f"relay subscribe lobby --count 1 --gateway {at}", tmp_path, **environment)
    check(outcome, 0)
    assert outcome.stdout.strip() in ("grüß 雪".encode(), rb"gr\xfc\xdf \u96ea")
    check(shell(f"relay publish 雪 雪 --gateway {at}", tmp_path, **environment), 0)
    check(shell("relay config --port 雪", tmp_path, **environment), 2)


def test_arguments_that_are_no_text(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused in words, and sent with --binary."""
    at = f"http://127.0.0.1:{gateway.port}"
    check(shell(f"relay publish lobby $'\\xff' --gateway {at}", tmp_path), 2)
    check(shell(f"relay publish lobby $'\\xff' --binary --gateway {at}", tmp_path), 0)
    for line in (
        "publish $'\\xff' hi",
        "health --url $'http://\\xff'",
        "publish a b --gateway $'ws://\\xff'",
        "$'\\xff'",
    ):
        check(shell(f"relay {line}", tmp_path), 2)
