"""`relay health`, with gateways and with servers that misbehave."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from tests.cli.command import invoke, invoke_aside, run
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.stand_in import StandIn


async def test_a_ready_gateway(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway of the settings, unless another one is given."""
    (gateway,) = await embedded(1)
    for host in ("127.0.0.1", "0.0.0.0"):
        monkeypatch.setenv("RELAY_HOST", host)
        monkeypatch.setenv("RELAY_PORT", str(gateway.port))
        outcome = await invoke_aside("health")
        assert (outcome.code, outcome.output, outcome.errors) == (0, "ready\n", "")
    monkeypatch.setenv("RELAY_PORT", "1")
    for url in (f"http://127.0.0.1:{gateway.port}", f"ws://localhost:{gateway.port}/"):
        assert (await invoke_aside("health", "--url", url)).code == 0
    outcome = await invoke_aside("health", "--live", "--url", f"http://127.0.0.1:{gateway.port}")
    assert (outcome.code, outcome.output) == (0, "alive\n")


async def test_the_port_for_metrics_is_asked(embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No client can block it there."""
    port = free_port()
    await embedded(1, metrics_port=port)
    monkeypatch.setenv("RELAY_METRICS_PORT", str(port))
    assert (await invoke_aside("health")).code == 0


async def test_a_draining_gateway_is_alive_and_not_ready(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, drain_delay=600)
    draining = asyncio.create_task(gateway.drain())
    await asyncio.sleep(0)
    url = f"http://127.0.0.1:{gateway.port}"
    outcome = await invoke_aside("health", "--url", url)
    assert (outcome.code, outcome.output, outcome.errors) == (1, "", "relay: not ready: draining\n")
    assert (await invoke_aside("health", "--live", "--url", url)).code == 0
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    await gateway.stop()


async def test_a_port_without_listener_in_a_process_of_its_own() -> None:
    port = free_port()
    outcome = await run("health", RELAY_PORT=port)
    assert outcome.code == 1
    assert outcome.errors == f"relay: not ready: 127.0.0.1 port {port}: Connection refused\n"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, '{"ready": false, "reasons": ["one", "two"]}', "one; two"),
        (503, '{"status": "the supervisor"}', "the supervisor"),
        (502, "<html>", "it answers with HTTP status 502"),
        (404, "[]", "it answers with HTTP status 404"),
        (500, '{"reasons": 1}', "it answers with HTTP status 500"),
        (302, "{}", "it answers with HTTP status 302"),
        (200, "<html>", "there is no relay at this address: a web server answers"),
        (200, "[]", "there is no relay at this address: a web server answers"),
    ],
)
async def test_an_answer_that_is_no_success_is_reported(stand_in: StandIn, status: int, body: str, reason: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/below/readyz"
        return web.Response(status=status, text=body)

    url = await stand_in(answer)
    outcome = await invoke_aside("health", "--url", f"{url}/below/")
    assert (outcome.code, outcome.errors) == (1, f"relay: not ready: {reason}\n")


def test_a_silent_server_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = invoke("health", "--timeout", "0.2", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert result.exit_code == 1
    assert "timed out" in result.stderr


async def test_a_server_without_http_is_reported() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        outcome = await invoke_aside("health", "--url", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert outcome.code == 1
    assert "hello" in outcome.errors


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://host:port", "http://h/?a=1", "x"])
def test_a_wrong_url_is_wrong_usage(url: str) -> None:
    result = invoke("health", "--url", url)
    assert result.exit_code == 2
    assert "must look like http://host:8000" in result.stderr


def test_any_free_port_can_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_PORT", "0")
    result = invoke("health")
    assert result.exit_code == 2
    assert "--url" in result.stderr


async def test_it_imports_little() -> None:
    """A health check runs every few seconds, in every container."""
    outcome = await run("health", "--url", f"http://127.0.0.1:{free_port()}", PYTHONPROFILEIMPORTTIME=1)
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in outcome.errors.splitlines() if "|" in line
    }
    assert "click" in imported
    assert not imported & {"pydantic", "aiohttp", "asyncio", "redis", "websockets", "structlog"}


async def test_notes_of_a_gateway_are_told(stand_in: StandIn) -> None:
    """Whether it is ready or not; the exit code is that of its readiness."""

    async def answer(request: web.Request) -> web.Response:
        state = {"ready": not reasons, "reasons": reasons, "notes": ["the keys are old", "so is the back end"]}
        return web.json_response(state, status=503 if reasons else 200)

    url = await stand_in(answer)
    notes = "relay: note: the keys are old\nrelay: note: so is the back end\n"
    reasons: list[str] = []
    outcome = await invoke_aside("health", "--url", url)
    assert (outcome.code, outcome.output, outcome.errors) == (0, "ready\n", notes)
    reasons = ["draining"]
    outcome = await invoke_aside("health", "--url", url)
    assert (outcome.code, outcome.output, outcome.errors) == (1, "", f"{notes}relay: not ready: draining\n")
