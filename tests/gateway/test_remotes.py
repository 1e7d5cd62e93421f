"""What asks other servers: opened, run and closed together, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from relay import Gateway, Settings
from relay.auth.authenticator import ANONYMOUS, Identity
from relay.back_ends.circuit import FAILURES
from relay.gateway.background import Background
from relay.gateway.remotes import Remotes
from relay.protocols.request import ConnectRequest
from relay.rpc_call import RpcFailed
from tests.back_ends.http_server import HttpServer, answering
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.rpc.calls import call


class Remote:
    """Notes what is done to it, with its name, in a list that it shares."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self.notes = [f"{name} is old"]

    async def open(self) -> None:
        self.calls.append(f"open {self.name}")

    async def run(self) -> None:
        self.calls.append(f"run {self.name}")

    async def close(self) -> None:
        self.calls.append(f"close {self.name}")


class RemoteAuthenticator(Remote):
    """One that identifies clients, too."""

    def identify(self, request: ConnectRequest) -> Identity:
        return ANONYMOUS


class LocalAuthenticator:
    """One that asks nobody."""

    def identify(self, request: ConnectRequest) -> Identity:
        return ANONYMOUS


async def test_all_of_them_are_opened_run_and_closed() -> None:
    calls: list[str] = []
    remotes = Remotes(RemoteAuthenticator("a", calls), oracle=Remote("b", calls))
    background = Background()
    await remotes.open()
    remotes.run(background)
    await wait_until(lambda: len(calls) == 4)
    assert {task.get_name() for task in background._tasks} == {"relay authenticator", "relay oracle"}
    await background.stop()
    await remotes.close()
    assert calls == ["open a", "open b", "run a", "run b", "close b", "close a"]
    assert remotes.notes == ["a is old", "b is old"]


async def test_an_authenticator_that_asks_nobody_is_none_of_them() -> None:
    calls: list[str] = []
    remotes = Remotes(LocalAuthenticator(), oracle=Remote("b", calls))
    await remotes.open()
    await remotes.close()
    assert (calls, remotes.notes) == (["open b", "close b"], ["b is old"])


async def test_calls_are_answered_while_the_gateway_runs() -> None:
    """And a back end that is down is a note, which leaves the gateway ready."""
    settings: dict[str, Any] = {"port": 0, "drain_seconds": 0, "rpc_timeout": 60}
    async with HttpServer(answering(200, {"result": {"data": 7}})) as server:
        async with Gateway(Settings(**settings, rpc_url=server.url)) as gateway:
            assert await gateway._rpc.call(call()) == b"7"
            assert (await get(gateway.port, "/readyz")).json["notes"] == []
            await server.stop()
            ends = await asyncio.gather(*(gateway._rpc.call(call()) for _ in range(FAILURES)), return_exceptions=True)
            assert {type(end) for end in ends} == {RpcFailed}
            ready = await get(gateway.port, "/readyz")
            note = f"the back end that answers calls, 127.0.0.1:{server.port}, is down: Connection refused"
            assert (ready.status, ready.json["ready"], ready.json["notes"]) == (200, True, [note])
            assert gateway.notes == [note]
            assert gateway.counters.rpc_calls == {"answered": 1, "unreachable": FAILURES}
        assert gateway.notes == []
