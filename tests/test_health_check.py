"""The health check of the image, as the engine runs it: a process beside the gateway, in the same memory limit."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relay.health_check import configured_address, main
from tests.conftest import EmbeddedFactory
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.free_port import free_port

ROOT = Path(__file__).parent.parent

LIGHT = {"relay", "relay.version", "relay.health_check"}


def check(*arguments: str, **environment: object) -> tuple[int, str, str]:
    """Run it, and return its exit code and what it wrote to both streams."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("RELAY_")}
    given = {f"RELAY_{name.upper()}": str(value) for name, value in environment.items()}
    command = [sys.executable, "-m", "relay.health_check", *arguments]
    done = subprocess.run(command, env=clean | given, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "", "127.0.0.1,192.0.2.1", "localhost"])
async def test_a_ready_gateway(embedded: EmbeddedFactory, host: str) -> None:
    (gateway,) = await embedded(1)
    assert await asyncio.to_thread(check, host=host, port=gateway.port) == (0, "ready\n", "")
    assert await asyncio.to_thread(check, "--live", host=host, port=gateway.port) == (0, "alive\n", "")


async def test_the_port_for_metrics_is_asked(embedded: EmbeddedFactory) -> None:
    port = free_port()
    await embedded(1, metrics_port=port)
    assert (await asyncio.to_thread(check, metrics_port=port, port=1))[0] == 0
    assert (await asyncio.to_thread(check, metrics_port="", port=port))[0] == 0


async def test_a_gateway_with_tls(embedded: EmbeddedFactory, certificate_authority: CertificateAuthority) -> None:
    """Whatever name its certificate is for."""
    elsewhere = certificate_authority.issue("elsewhere", "relay.example.com", ())
    port = free_port()
    (gateway,) = await embedded(1, metrics_port=port, **elsewhere.settings())
    asked = {"port": gateway.port, **elsewhere.settings()}
    assert await asyncio.to_thread(check, **asked) == (0, "ready\n", "")
    assert await asyncio.to_thread(check, metrics_port=port, **asked) == (0, "ready\n", "")
    assert (await asyncio.to_thread(check, port=gateway.port))[0] == 1


async def test_a_draining_gateway_is_alive_and_not_ready(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, drain_delay=600)
    draining = asyncio.create_task(gateway.drain())
    await asyncio.sleep(0)
    code, output, errors = await asyncio.to_thread(check, port=gateway.port)
    assert (code, output) == (1, "")
    assert re.match(r'relay: not ready: .*"draining"', errors)
    assert (await asyncio.to_thread(check, "--live", port=gateway.port))[0] == 0
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    await gateway.stop()


def test_a_gateway_that_is_not_there() -> None:
    port = free_port()
    assert check(port=port) == (1, "", f"relay: not ready: 127.0.0.1 port {port}: Connection refused\n")
    assert check(port="tcp://10.0.0.1:8000")[0] == 1


async def test_a_server_that_is_no_gateway() -> None:
    answers = [b"hello\r\n\r\n", b"", b"HTTP/1.1 302 Found\r\n\r\n", b"HTTP/1.1 2\r\n\r\n"]
    reasons = ["'hello", "closed the connection without an answer", "HTTP status 302", "'HTTP/1.1 2"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[0])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        while answers:
            code, _, errors = await asyncio.to_thread(check, port=server.sockets[0].getsockname()[1])
            assert code == 1
            assert reasons.pop(0) in errors
            del answers[0]


def test_a_silent_gateway_is_a_timeout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("RELAY_HOST", "127.0.0.1")
        monkeypatch.setenv("RELAY_PORT", str(silent.getsockname()[1]))
        monkeypatch.delenv("RELAY_METRICS_PORT", raising=False)
        assert main([], timeout_seconds=0.1) == 1
    assert "timed out" in capsys.readouterr().err


def test_wrong_usage_is_reported() -> None:
    code, output, errors = check("--url", "http://127.0.0.1:8000")
    assert (code, output) == (2, "")
    assert errors.startswith("usage: ")


def test_addresses_that_mean_all_of_them_are_asked_on_the_loopback() -> None:
    assert configured_address({}) == ("127.0.0.1", "8000")
    assert configured_address({"RELAY_HOST": "::,0.0.0.0", "RELAY_PORT": "80"}) == ("::1", "80")


def test_it_needs_a_few_megabytes() -> None:
    """Each library costs some: with `relay health`, which reads all settings, a container of 64 MB was full."""
    program = "import sys, relay.health_check; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-I", "-c", program], text=True, cwd=ROOT).split())
    heavy = {"asyncio", "click", "email", "http", "json", "logging", "pydantic", "ssl", "urllib"}
    assert not loaded & heavy
    assert {name for name in loaded if name.partition(".")[0] == "relay"} == LIGHT


@pytest.mark.parametrize("file", ["deploy/Dockerfile", "docker-compose.yml", "docs/operations.md"])
def test_it_is_what_the_deployments_ask(file: str) -> None:
    assert '"python", "-m", "relay.health_check"]' in (ROOT / file).read_text()
