"""The part of the fuzzer that runs against processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from tests.fuzz.case import Case, Ending, Reading
from tests.fuzz.conversation import Conversation
from tests.fuzz.grammar import TARGETS, Generator
from tests.fuzz.over_tcp import fuzz_over_tcp
from tests.harness import gateway_process
from tests.harness.forked_process import ROOT

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers when the client has closed its side, and closes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def eof_received(self) -> bool | None:
        self.transport.write(OK)
        return None


class SilentServer(Server):
    """Never answers, never closes."""

    def eof_received(self) -> bool | None:
        return True


class HastyServer(Server):
    """Answers with a part of what it should, and closes, whatever the client still sends.

    Args:
        answer: what it writes.
    """

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def data_received(self, data: bytes) -> None:
        self.transport.write(self._answer)
        self.transport.close()


async def told(server: Callable[[], Server], case: Case) -> str | None:
    """Return what a conversation with a server has to say about it."""
    open_servers: list[Server] = []

    def serve() -> Server:
        open_servers.append(server())
        return open_servers[-1]

    async with await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0) as listening:
        try:
            return await Conversation(listening.sockets[0].getsockname()[1], case).run(patience=1)
        finally:
            for each in open_servers:
                each.transport.abort()


async def test_a_server_that_behaves_is_not_blamed() -> None:
    assert await told(Server, Case("http", REQUEST, (3,))) is None
    assert await told(Server, Case("http", REQUEST, (3,), reading=Reading.LATE)) is None
    assert await told(partial(HastyServer, OK), Case("http", b"x" * 40_000, ending=Ending.SILENCE)) is None
    assert await told(SilentServer, Case("http", REQUEST, ending=Ending.RESET)) is None


async def test_a_server_that_does_not_is_blamed() -> None:
    for ending in (Ending.EOF, Ending.SILENCE):
        fault = await told(SilentServer, Case("http", REQUEST, ending=ending))
        assert fault is not None
        assert fault.startswith("a connection is stuck")
    fault = await told(partial(HastyServer, b"nonsense"), Case("http", REQUEST, ending=Ending.SILENCE))
    assert fault is not None
    assert fault.startswith("no response")


@pytest.mark.timeout(600)  # silent connections end by their deadlines
async def test_gateways_stand_a_short_run() -> None:
    result = await fuzz_over_tcp(Generator(1, list(TARGETS)), lambda tried: tried < 400)
    assert result.faults == []
    assert set(result.inputs) == set(TARGETS)


@pytest.mark.timeout(600)
async def test_a_fault_that_is_planted_into_a_process_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        dedent("""
        from relay.gateway import proxy_phase

        read = proxy_phase.read_proxy_header


        def failing(data):
            assert not data.startswith(b"PROXY TCP6"), "planted"
            return read(data)


        proxy_phase.read_proxy_header = failing
        """)
    )
    monkeypatch.setattr(gateway_process, "ROOT", f"{tmp_path}:{ROOT}")
    result = await fuzz_over_tcp(Generator(1, ["proxy"]), lambda tried: tried < 200)
    assert any("planted" in fault for fault in result.faults)
