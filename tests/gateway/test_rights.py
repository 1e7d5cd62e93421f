"""What a client may do, asked at every way to subscribe and to publish."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay import protocols
from relay.auth.authenticator import Identity
from tests.clients.late_bus import late_bus as late_bus
from tests.gateway.admissions import (
    SUBSCRIBERS,
    Authenticator,
    Rights,
    ask,
    guarded,
    nothing_is_left,
    refusals,
    success,
)
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import PING, PONG, TEXT, RawWebSocket
from tests.harness.server_api import KEY, call


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_the_right_to_subscribe_is_asked_for(way: str) -> None:
    for name, status in (("a", success(way)), ("b", 403)):
        rights = Rights(subscribe=name)
        async with (
            guarded(Authenticator(lambda rights=rights: Identity("ann", rights))) as gateway,  # type: ignore[misc]
            RawWebSocket(gateway.port) as client,
        ):
            response = await ask(client, way)
            assert response.status == status
            assert rights.asked == [("subscribe", "a")]
            if status == 403:
                assert "you may not subscribe to this channel" in response.text
                assert refusals(gateway, way) == {"forbidden": 1}
                assert parts_of(gateway).context.node.interests == 0
                if way != "websocket":
                    assert response.headers["access-control-allow-origin"] == "https://page.example"


async def test_the_right_to_publish_is_asked_for_by_http() -> None:
    for name, status in (("a", 200), ("b", 403)):
        rights = Rights(publish=name)
        async with (
            guarded(Authenticator(lambda rights=rights: Identity("ann", rights))) as gateway,  # type: ignore[misc]
            RawWebSocket(gateway.port) as client,
        ):
            response = await ask(client, "publish")
            assert response.status == status
            assert rights.asked == [("publish", "a")]
            assert gateway.counters.messages_received == (status == 200)
            if status == 403:
                assert "you may not publish to this channel" in response.text


async def test_the_right_to_publish_is_asked_for_with_each_message_of_a_websocket() -> None:
    """A plain client can't be told otherwise than by its close."""
    rights = Rights(subscribe="a", publish="b")
    async with (
        guarded(Authenticator(lambda: Identity("ann", rights))) as gateway,
        RawWebSocket(gateway.port) as client,
        RawWebSocket(gateway.port) as listener,
    ):
        for one in (client, listener):
            assert (await ask(one, "websocket")).status == 101
        await client.send_frame(TEXT, b"hello")
        await client.send_frame(TEXT, b"again")
        assert await client.close_frame() == (1008, "not allowed")
        assert rights.asked == [("subscribe", "a"), ("subscribe", "a"), ("publish", "a")]
        assert gateway.counters.disconnects == {"NOT_ALLOWED": 1}
        assert gateway.counters.messages_received == 0
        await listener.send_frame(PING)
        assert (await listener.frame()).opcode == PONG


@pytest.mark.parametrize("good", [0, 200], ids=["at once", "in a later turn"])
async def test_rights_that_fail_end_the_client(good: int, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Rights):
        def may_publish(self, channel: str) -> bool:
            self.asked.append(("publish", channel))
            if len(self.asked) > good + 1:
                raise ZeroDivisionError("a fault of its own")
            return True

    rights = Faulty(subscribe="a")
    async with (
        guarded(Authenticator(lambda: Identity("ann", rights))) as gateway,
        RawWebSocket(gateway.port) as client,
    ):
        assert (await ask(client, "websocket")).status == 101
        await client.send(b"\x81\x81\0\0\0\0a" * (good + 10))
        await client.end()
        await wait_until(lambda: nothing_is_left(gateway))
        assert gateway.counters.messages_received == good
        assert gateway.counters.connections_closed == {1006: 1}
        assert len(rights.asked) == good + 2, "what came behind is ignored"
        assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_rights_of_a_multiplexed_client_are_asked_for_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    event = asyncio.Event()
    event.set()
    rights = Rights(subscribe="a", publish="b")

    async def identify() -> Identity:
        await event.wait()
        return Identity("ann", rights)

    async with guarded(Authenticator(identify)) as gateway, RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed", "Origin: https://page.example")).status == 101
        assert rights.asked == []
        for request in (
            {"id": 1, "subscribe": "a"},
            {"id": 2, "subscribe": "b"},
            {"id": 3, "publish": {"channel": "a", "data": 1}},
        ):
            await client.send_frame(TEXT, json.dumps(request).encode())
        assert [json.loads((await client.frame()).payload) for _ in range(3)] == [
            {"id": 1, "ok": True},
            {"id": 2, "error": "you may not subscribe to this channel"},
            {"id": 3, "error": "you may not publish to this channel"},
        ]
        assert rights.asked == [("subscribe", "a"), ("subscribe", "b"), ("publish", "a")]


async def test_back_ends_have_their_keys_and_need_no_rights() -> None:
    authenticator = Authenticator(lambda: Identity("ann", Rights()))
    async with guarded(authenticator, api_keys=(KEY,)) as gateway:
        assert await call(gateway.port, "publish", {"channel": "a", "data": 1}) == {"result": {}}
        await gateway.publish("a", "from the program around it")
    assert authenticator.asked == []
