"""Authenticators that ask other servers: opened, run and closed with their gateway."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay import Gateway, Settings
from relay.auth.authenticator import Identity, RemoteAuthenticator
from relay.gateway import background
from relay.protocols.request import ConnectRequest
from tests.gateway.admissions import WAYS
from tests.harness.conditions import wait_until
from tests.harness.http_response import get
from tests.harness.raw_websocket import RawWebSocket


class Remote:
    """Notes what is done to it; a `RemoteAuthenticator`.

    Attributes:
        notes: may be set.
        calls: what was done to it, in order.
        failures: how often `run` will raise.
        gateway_port: port of the gateway; it looks whether that listens when it is opened.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.calls: list[str] = []
        self.failures = 0
        self.identifying = 0
        self.never = asyncio.Event()

    async def open(self) -> None:
        self.calls.append("open")

    async def run(self) -> None:
        self.calls.append("run")
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        try:
            await asyncio.Event().wait()
        finally:
            self.calls.append("cancelled")

    async def close(self) -> None:
        assert self.identifying == 0
        self.calls.append("close")

    async def identify(self, request: ConnectRequest) -> Identity:
        assert self.calls[0] == "open"
        self.identifying += 1
        try:
            await self.never.wait()
        finally:
            self.identifying -= 1
        return Identity("ann")


def gateway_with(authenticator: Remote, port: int = 0) -> Gateway:
    settings = Settings(port=port, drain_seconds=0, allowed_origins=("https://page.example",))
    return Gateway(settings, authenticator=authenticator)


async def test_it_is_opened_before_clients_come_and_closed_when_none_is_left() -> None:
    remote = Remote()
    assert isinstance(remote, RemoteAuthenticator)
    async with gateway_with(remote) as gateway, RawWebSocket(gateway.port) as client:
        await client.send(WAYS["websocket"])
        await wait_until(lambda: remote.identifying == 1)
        assert remote.calls == ["open", "run"]
    assert remote.calls == ["open", "run", "cancelled", "close"]


async def test_its_task_is_supervised(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.01)
    remote = Remote()
    remote.failures = 2
    async with gateway_with(remote):
        await wait_until(lambda: remote.calls.count("run") == 3)
    assert remote.calls[-2:] == ["cancelled", "close"]
    assert "task failed task=authenticator" in caplog.text


async def test_it_is_closed_when_the_gateway_can_not_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        remote = Remote()
        with pytest.raises(OSError, match="in use"):
            await gateway_with(remote, taken.getsockname()[1]).start()
    assert remote.calls == ["open", "close"]


async def test_its_notes_are_told_and_do_not_make_the_gateway_unready() -> None:
    remote = Remote()
    async with gateway_with(remote) as gateway:
        assert (await get(gateway.port, "/readyz")).json["notes"] == []
        remote.notes = ["the keys are old"]
        assert gateway.notes == ["the keys are old"]
        ready = await get(gateway.port, "/readyz")
        assert (ready.status, ready.json["ready"], ready.json["notes"]) == (200, True, ["the keys are old"])
    assert gateway.notes == []


async def test_one_without_these_methods_is_only_asked() -> None:
    """As programs have written them: a part of the methods is none of them."""

    class Asked:
        def identify(self, request: ConnectRequest) -> Identity:
            return Identity("ann")

        async def open(self) -> None:
            raise AssertionError

    async with Gateway(Settings(port=0, drain_seconds=0), authenticator=Asked()) as gateway:
        assert (await get(gateway.port, "/poll/a?wait=0")).status == 200
        assert gateway.notes == []
