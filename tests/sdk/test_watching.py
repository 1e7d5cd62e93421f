"""A program that is told who comes to a channel and who goes, in order with its messages."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from relay import Client, ClientRefused, PresenceChange
from tests.conftest import EmbeddedFactory
from tests.harness.stand_in import StandIn
from tests.harness.websocket_client import connected
from tests.sdk.streams import Script, eager

NAMESPACES = {"room": {"presence": True, "join_leave": True}}

ANN = PresenceChange(joined=True, client="01", user="ann", info={"name": "Ann"})


def said(kind: str, client: str, user: str | None, info: object = None) -> bytes:
    """Return an event of a user."""
    data = json.dumps({"client": client, "user": user, "info": info})
    return f"event: {kind}\ndata: {data}\n\n".encode()


async def test_a_program_hears_who_comes_to_a_real_gateway_and_who_goes(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    changes: asyncio.Queue[PresenceChange | None] = asyncio.Queue()
    async with Client(gateway.url) as client, client.subscribe("room:a", watch=changes.put_nowait) as messages:
        reading = asyncio.create_task(anext(messages))
        assert await changes.get() is None
        own = await changes.get()
        assert own is not None
        assert (own.joined, own.user, own.info) == (True, None, None)
        async with connected(f"{gateway.url}/ws/room:a"):
            other = await changes.get()
            assert other is not None
            assert other.joined
            assert other.client != own.client
        assert await changes.get() == PresenceChange(joined=False, client=other.client, user=None, info=None)
        await gateway.publish("room:a", "hello")
        assert (await reading).data == "hello"


async def test_a_channel_that_does_not_tell_refuses(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with Client(gateway.url) as client:
        with pytest.raises(ClientRefused, match="HTTP 400"):
            await anext(client.subscribe("lobby", watch=print))


async def test_changes_are_told_in_order_with_messages_and_again_after_a_break(stand_in: StandIn) -> None:
    begin = b"retry: 1\n\nevent: watching\ndata: {}\n\n"
    first = begin + b"data: 1\n\n" + said("join", "01", "ann", {"name": "Ann"}) + b"data: 2\n\n"
    script = Script(first, begin + said("leave", "01", None) + b"data: 3\n\n")
    heard: list[object] = []

    async def watch(change: PresenceChange | None) -> None:
        heard.append(change)

    def missed(position: str | None) -> None:
        heard.append("missed")

    async with eager(await stand_in(script.answer)) as client:
        async for message in client.subscribe("a", missed=missed, history=2, watch=watch):
            heard.append(message.data)
            if message.data == "3":
                break
    gone = PresenceChange(joined=False, client="01", user=None, info=None)
    assert heard == [None, "1", ANN, "2", "missed", None, gone, "3"]
    assert [target for target, _ in script.asked] == ["/sse/a?join_leave=1&history=2"] * 2


async def test_who_does_not_want_to_know_is_told_nothing(stand_in: StandIn) -> None:
    script = Script(b"retry: 1\n\n" + said("join", "01", "ann") + b"data: 1\n\n")
    async with eager(await stand_in(script.answer)) as client:
        assert (await anext(client.subscribe("a"))).data == "1"
    assert script.asked == [("/sse/a", None)]


@pytest.mark.parametrize(
    "data", ["[]", "{}", '{"client": 1, "user": null, "info": null}', '{"client": "a", "user": 1, "info": 1}', "x"]
)
async def test_what_no_relay_says_ends_the_stream(stand_in: StandIn, data: str) -> None:
    wrong = f"retry: 1\n\nevent: join\ndata: {data}\n\n".encode()
    script = Script(wrong, web.Response(status=404))
    async with eager(await stand_in(script.answer)) as client:
        with pytest.raises(ClientRefused, match="404"):
            await anext(client.subscribe("a", watch=print))
    assert len(script.asked) == 2
