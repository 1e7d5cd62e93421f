"""`relay subscribe` as a process."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process

import pytest
from aiohttp import web

from tests.cli.command import Outcome, invoke, invoke_aside, running
from tests.cli.forked_command import ForkedCommand
from tests.conftest import EmbeddedFactory
from tests.harness.stand_in import StandIn
from tests.harness.websocket_client import connected


async def listening(process: Process | ForkedCommand) -> None:
    """Return when the command is connected."""
    assert process.stderr is not None
    assert b"listening to" in await process.stderr.readline()


async def test_messages_appear_as_they_come(embedded: EmbeddedFactory, channel: str) -> None:
    """Also in a pipe, where output is easily buffered."""
    (gateway,) = await embedded(1)
    async with (
        connected(f"{gateway.url}/ws/{channel}") as (publisher,),
        running("subscribe", channel, RELAY_PORT=gateway.port) as process,
    ):
        await listening(process)
        assert process.stdout is not None
        await publisher.send("hello")
        assert await process.stdout.readline() == b"hello\n"
        await publisher.send(b"\x00\xff")
        assert await process.stdout.readline() == b"binary, 2 bytes: 00ff\n"


async def test_ctrl_c_ends_it_without_a_message(embedded: EmbeddedFactory, channel: str) -> None:
    """No traceback; the exit code that shells expect."""
    (gateway,) = await embedded(1)
    async with running("subscribe", "--gateway", gateway.url, channel) as process:
        await listening(process)
        process.send_signal(signal.SIGINT)
        output, errors = await process.communicate()
        assert (process.returncode, output, errors) == (130, b"", b"")


async def test_it_ends_when_the_reader_of_its_output_is_gone(embedded: EmbeddedFactory, channel: str) -> None:
    """Even when there is no message to write."""
    (gateway,) = await embedded(1)
    reader, writer = os.pipe()
    try:
        async with running("subscribe", "--gateway", gateway.url, channel, output=writer) as process:
            await listening(process)
            os.close(reader)
            assert process.stderr is not None
            assert (await process.wait(), await process.stderr.read()) == (0, b"")
    finally:
        os.close(writer)


async def test_a_write_without_a_reader_ends_it_too(
    embedded: EmbeddedFactory, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it isn't noticed that the reader is gone, such as on a socket."""
    (gateway,) = await embedded(1)

    def refuse(payload: str | bytes) -> str:
        raise BrokenPipeError

    async with connected(f"{gateway.url}/ws/{channel}?echo=1") as (publisher,):
        monkeypatch.setattr("relay.cli.tail.line", refuse)
        task = asyncio.create_task(invoke_aside("subscribe", "--gateway", gateway.url, channel))
        while not task.done():
            await publisher.send("hello")
            await publisher.receive(1)
            await asyncio.wait([task], timeout=0.05)
        assert task.result().code == 0


async def test_it_ends_after_enough_messages(embedded: EmbeddedFactory, channel: str) -> None:
    """With exit code 0."""
    (gateway,) = await embedded(1, welcome="welcome")
    outcome = await invoke_aside("subscribe", "--count", "1", "--gateway", gateway.url, channel)
    assert outcome == Outcome(0, "welcome\n", f"relay: listening to {gateway.url}\n")


async def test_a_refusal_is_reported(stand_in: StandIn, channel: str) -> None:
    """Exit code 1."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    url = await stand_in(refuse)
    outcome = await invoke_aside("subscribe", "--gateway", url, channel)
    assert outcome == Outcome(1, "", f"relay: {url} answered HTTP 404: there is no relay at this address\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a b"], "white space"),
        (["--count", "0", "lobby"], "--count"),
        (["--gateway", "localhost", "lobby"], "must look like http://host:8000"),
        ([], "Missing argument 'CHANNEL'"),
    ],
)
def test_wrong_usage_is_reported(arguments: list[str], reason: str) -> None:
    """Exit code 2, nothing connected."""
    result = invoke("subscribe", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
