"""The stack as it stands: what reaches gateways, who they are, and what the balancer lets through."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

import relay
from tests.compose.stack import ROOT, Stack
from tests.harness.http_response import get
from tests.harness.websocket_client import connected


async def test_a_client_on_one_gateway_hears_those_on_the_others(stack: Stack) -> None:
    gateways = await stack.fresh(3)
    async with connected(*[f"{stack.url}/ws/a"] * 6) as clients:
        assert await stack.clients(gateways) == [2, 2, 2]
        for number, client in enumerate(clients):
            await client.send(f"from {number}")
        for number, client in enumerate(clients):
            assert sorted(await client.receive(5)) == [f"from {other}" for other in range(6) if other != number]


async def test_the_balancer_shows_clients_what_is_for_them(stack: Stack) -> None:
    await stack.fresh(3)
    assert (await get(stack.port, "/")).status in (200, 426)
    assert (await get(stack.port, "/readyz")).status == 200
    for path in ("/metrics", "/healthz", "/%6Detrics", "/healt%68z"):
        assert (await get(stack.port, path)).status == 404, path


async def test_a_gateway_has_no_more_rights_than_it_needs(stack: Stack) -> None:
    gateway, *_ = await stack.fresh(3)
    look = "import os; print(os.getuid(), open('/proc/1/cmdline').read().split(chr(0))[1:3])"
    said = stack.run("docker", "exec", gateway.container, "/opt/relay/bin/python", "-c", look)
    assert said.strip() == "10001 ['/opt/relay/bin/relay', 'serve']"
    wrote = stack.attempt("docker", "exec", gateway.container, "/opt/relay/bin/python", "-c", "open('/tmp/x', 'w')")
    assert "Read-only file system" in wrote.stderr
    (about,) = json.loads(stack.run("docker", "inspect", gateway.container))
    labels = about["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == relay.__version__
    assert labels["org.opencontainers.image.revision"] == "0123456"


async def test_a_gateway_takes_as_many_clients_as_the_engine_lets_it_open_files(stack: Stack) -> None:
    gateway, *_ = await stack.fresh(3)
    look = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[1])"
    hard = int(stack.run("docker", "exec", gateway.container, "/opt/relay/bin/python", "-c", look))
    assert {0.9 * hard < entry["max_connections"] < hard for entry in stack.records("listening")} == {True}


async def test_a_client_is_known_by_its_own_address(stack: Stack) -> None:
    """That which the balancer saw, whatever the client says of itself."""
    await stack.fresh(3)
    async with connect(f"{stack.url}/ws/known", additional_headers={"X-Forwarded-For": "203.0.113.7"}, proxy=None):
        pass
    balancer = stack.compose("ps", "--quiet", "balancer").strip()
    # This machine as the stack sees it: the end of its network.
    form = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
    here = stack.run("docker", "inspect", "--format", form, balancer).strip()
    (entry,) = [entry for entry in stack.records("connected") if entry["channel"] == "known"]
    assert entry["remote"] == here


async def test_an_event_stream_passes_without_waiting_for_company(stack: Stack) -> None:
    await stack.fresh(3)
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(b"GET /sse/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(20):
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        async with connected(f"{stack.url}/ws/stream") as (client,):
            for word in (b"one", b"two"):
                await client.send(word.decode())
                assert word in await reader.readuntil(word)
    writer.close()


@pytest.mark.parametrize(("path", "channel"), [("/poll/news", "news"), ("/poll", "lobby")])
async def test_a_client_that_polls_finds_its_messages_again(stack: Stack, path: str, channel: str) -> None:
    """Each poll is a connection of its own, and only one of the gateways has the messages."""
    await stack.fresh(3)
    answer = (await get(stack.port, f"{path}?wait=0")).json
    async with connected(f"{stack.url}/ws/{channel}") as (client,):
        for number in range(8):
            await client.send(f"number {number}")
            answer = (await get(stack.port, f"{path}?wait=20&cursor={answer['cursor']}", within=30)).json
            assert not answer["missed"]
            assert [message["text"] for message in answer["messages"]] == [f"number {number}"]


def test_settings_of_the_env_file_reach_the_gateways(stack: Stack, tmp_path: Path) -> None:
    """And what the stack itself decides is stronger."""
    for name in ("docker-compose.yml", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    with (tmp_path / ".env").open("a") as file:
        file.write("RELAY_WELCOME=hello there\nRELAY_HOST=127.0.0.1\nRELAY_DRAIN_SECONDS=7\n")
    said = stack.run("docker", "compose", "--project-directory", str(tmp_path), "config", "--format", "json")
    environment = json.loads(said)["services"]["gateway"]["environment"]
    assert environment["RELAY_WELCOME"] == "hello there"
    assert environment["RELAY_HOST"] == "0.0.0.0"
    assert "RELAY_PING_INTERVAL" not in environment


def test_what_observes_the_stack_is_in_its_files(stack: Stack) -> None:
    """Their images aren't here: only whether the profile is understood."""
    said = stack.run("docker", "compose", "--profile", "observe", "config", "--format", "json")
    services = json.loads(said)["services"]
    assert {"prometheus", "grafana"} <= set(services)
    mounts = [mount["source"] for name in ("prometheus", "grafana") for mount in services[name]["volumes"]]
    assert all(Path(source).is_dir() for source in mounts if source.startswith("/"))
