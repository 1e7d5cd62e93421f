"""Every command with standard streams that are closed, full, without a reader, or in a narrow encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import ROOT
from tests.harness.forked_process import ForkedProcess
from tests.harness.free_port import free_port
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

RELAY = f"{sys.executable} -m relay"

Descriptors = Mapping[int, str | None]
"""Number of a standard stream → the file that it is; None: it is closed. The others are empty, or kept."""


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


def run(*arguments: str, folder: Path, streams: Descriptors | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a folder, with some standard streams of its own."""
    written = [folder / "stdout", folder / "stderr"]
    files = {0: os.devnull, 1: str(written[0]), 2: str(written[1])} | dict(streams or {})
    with ExitStack() as stack:
        opened = {
            number: stack.enter_context(Path(path).open("wb" if number else "rb")).fileno()
            for number, path in files.items()
            if path is not None
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = ForkedProcess(*arguments, environment=environment, folder=str(folder), descriptors=opened)
    code = process.wait()
    output, errors = (path.read_bytes() if str(path) in files.values() else b"" for path in written)
    return subprocess.CompletedProcess(arguments, code, output, errors)


def check(outcome: subprocess.CompletedProcess[bytes], code: int) -> None:
    """Check the exit code, and that the output shows no fault of the program."""
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == code, said
    for sign in (b"Traceback", b"Exception ignored", b"Errno", b"Error:\n"):
        assert sign not in said


@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_closed_streams(gateway: GatewayProcess, tmp_path: Path, closed: list[int]) -> None:
    """Their output is discarded, and doesn't go into the next socket; the exit code is that of the work."""
    at = f"http://127.0.0.1:{gateway.port}"
    lines = {
        f"health --url {at}": 0,
        f"publish lobby hi --gateway {at}": 0,
        f"subscribe lobby --count 1 --gateway {at}": 0,
        "config --port many": 2,
    }
    for line, code in lines.items():
        check(run(*line.split(), folder=tmp_path, streams=dict.fromkeys(closed)), code)


def test_a_shell_closes_all_streams(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Python then starts without them."""
    check(shell(f"relay publish lobby hi --gateway http://127.0.0.1:{gateway.port} <&- >&- 2>&-", tmp_path), 0)


def test_a_gateway_without_any_stream(redis_server: RedisServer, tmp_path: Path) -> None:
    """Its workers have none either; it drains as any other does."""
    port = free_port()
    serve = f"{RELAY} serve --port {port} --workers 2 --broker-url {redis_server.url} --drain-seconds 0"
    listens = f"until (: <>/dev/tcp/127.0.0.1/{port}); do sleep 0.1; done >/dev/null 2>&1"
    ready = f"{listens}; until relay health --url http://127.0.0.1:{port}; do sleep 0.1; done >/dev/null 2>&1"
    check(shell(f"{serve} <&- >&- 2>&- & {ready}; kill $!; wait $!", tmp_path), 0)


def test_a_message_is_not_read_from_a_closed_input(gateway: GatewayProcess, tmp_path: Path) -> None:
    """It would be an empty one."""
    at = f"http://127.0.0.1:{gateway.port}"
    outcome = run("publish", "lobby", "--gateway", at, folder=tmp_path, streams={0: None})
    check(outcome, 2)
    assert b"standard input is closed" in outcome.stderr


def test_a_full_disk(gateway: GatewayProcess, tmp_path: Path) -> None:
    """A command whose output is its work fails, in words; another one still succeeds."""
    at = f"http://127.0.0.1:{gateway.port}"
    full = b"standard output can't be written: No space left on device"
    for line in ("--help", f"subscribe lobby --count 1 --gateway {at}"):
        outcome = run(*line.split(), folder=tmp_path, streams={1: "/dev/full"})
        check(outcome, 1)
        assert outcome.stderr.splitlines()[-1] == b"relay: " + full
    outcome = shell("relay config >/dev/full", tmp_path)
    check(outcome, 1)
    assert outcome.stderr.splitlines()[-1] == b"relay: " + full
    for line in (f"health --url {at}", f"publish lobby hi --gateway {at}"):
        outcome = run(*line.split(), folder=tmp_path, streams={1: "/dev/full"})
        check(outcome, 0)
        assert full in outcome.stderr
    for line, code in {f"health --url {at}": 0, "config --port many": 2}.items():
        check(run(*line.split(), folder=tmp_path, streams={2: "/dev/full"}), code)


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
    for line in ("publish \udcff hi", "health --url http://\udcff", "publish a b --gateway ws://\udcff", "\udcff"):
        check(run(*line.split(), folder=tmp_path), 2)
