"""Rights, for every way in which a client subscribes and publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from relay import Gateway, Settings
from relay.auth.authenticator import ANONYMOUS, EVERYTHING, Identity, check_publish, check_subscribe
from relay.errors import NotAllowed, Refused
from relay.protocols.request import ConnectRequest
from tests.harness.event_source import EventStreamClient
from tests.harness.http_response import HttpResponse, get, send_request
from tests.harness.websocket_client import WebSocketClient, connected


class Listed:
    """Rights to channels by their first letters: `s` to subscribe, `p` to publish, `sp` for both."""

    def may_subscribe(self, channel: str) -> bool:
        return channel.startswith("s")

    def may_publish(self, channel: str) -> bool:
        return channel.startswith(("p", "sp"))

    def may_read_history(self, channel: str) -> bool:
        return False

    def may_see_presence(self, channel: str) -> bool:
        return False


class ByName:
    """Gives users their rights by their names; waits before it does, as one that asks another server must."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def identify(self, request: ConnectRequest) -> Awaitable[Identity]:
        self.asked.append(request.path)
        return self._find(request.query.get("user"))

    async def _find(self, user: str | None) -> Identity:
        await asyncio.sleep(0)
        if user is None:
            raise Refused(401, "no user")
        return Identity(user, Listed())


@pytest.fixture
def authenticator() -> ByName:
    return ByName()


@pytest_asyncio.fixture
async def gateway(authenticator: ByName) -> AsyncIterator[Gateway]:
    async with Gateway(Settings(port=0, drain_seconds=0), authenticator=authenticator) as gateway:
        yield gateway


async def post(gateway: Gateway, target: str) -> HttpResponse:
    """Publish a message by HTTP."""
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    return await send_request(gateway.port, f"{head}Content-Length: 5\r\n\r\nhello".encode())


async def status_of(gateway: Gateway, way: str, channel: str, query: str = "?user=ann") -> int:
    """Return the HTTP status with which a client is answered that comes in by one of the ways."""
    if way == "websocket":
        try:
            client = await WebSocketClient.connect(f"{gateway.url}/ws/{channel}{query}")
        except InvalidStatus as refused:
            return refused.response.status_code
        await client.close()
        return 101
    if way == "events":
        async with EventStreamClient(gateway.port, f"/sse/{channel}{query}") as events:
            return events.head.status
    if way == "poll":
        return (await get(gateway.port, f"/poll/{channel}{query}&wait=0")).status
    return (await post(gateway, f"/publish/{channel}{query}")).status


WAYS = [("websocket", 101), ("events", 200), ("poll", 200), ("publish", 200)]


@pytest.mark.parametrize(("way", "welcome"), WAYS)
async def test_every_way_in_asks_for_the_right(gateway: Gateway, authenticator: ByName, way: str, welcome: int) -> None:
    allowed, refused = ("p", "s") if way == "publish" else ("s", "p")
    assert await status_of(gateway, way, allowed) == welcome
    assert await status_of(gateway, way, refused) == 403
    assert await status_of(gateway, way, "sp") == welcome
    assert len(authenticator.asked) == 3


@pytest.mark.parametrize("way", [way for way, _ in WAYS])
async def test_every_way_in_asks_the_authenticator(gateway: Gateway, way: str) -> None:
    assert await status_of(gateway, way, "sp", "?a=b") == 401


async def test_a_client_is_told_which_right_it_lacks(gateway: Gateway) -> None:
    assert "you may not subscribe to this channel" in (await get(gateway.port, "/poll/p?user=ann&wait=0")).text
    assert "you may not publish to this channel" in (await post(gateway, "/publish/s?user=ann")).text


async def test_a_websocket_that_may_only_listen_is_closed_when_it_publishes(gateway: Gateway) -> None:
    urls = [f"{gateway.url}/ws/s?user={user}" for user in ("ann", "bob")]
    async with connected(*urls) as (ann, bob):
        await ann.send("hello")
        assert await ann.ended() == (1008, "not allowed")
        assert (bob.is_open, bob.received) == (True, [])
    assert gateway.counters.disconnects == {"NOT_ALLOWED": 1}
    assert gateway.counters.messages_published == 0


async def test_a_websocket_that_may_publish_reaches_the_others(gateway: Gateway) -> None:
    urls = [f"{gateway.url}/ws/sp?user={user}" for user in ("ann", "bob")]
    async with connected(*urls) as (ann, bob):
        await ann.send("hello")
        assert await bob.receive(1) == ["hello"]


def test_everything_is_the_default() -> None:
    assert ANONYMOUS.rights is Identity("ann").rights is EVERYTHING
    check_subscribe(ANONYMOUS, "any")
    check_publish(ANONYMOUS, "any")


def test_a_check_names_the_action_and_the_channel() -> None:
    identity = Identity("ann", Listed())
    for check, channel, action in ((check_subscribe, "p", "subscribe to"), (check_publish, "s", "publish to")):
        with pytest.raises(NotAllowed) as caught:
            check(identity, channel)
        assert (caught.value.action, caught.value.channel) == (action, channel)
