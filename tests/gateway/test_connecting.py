"""Clients that come in before it is known who they are, at a gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, Settings, protocols
from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients import connecting
from relay.clients.multiplexed_session import MultiplexedSession
from relay.protocols.multiplexed import SubscribeOptions
from relay.protocols.request_errors import TokenRefused
from tests.clients.leftovers import leaving_nothing
from tests.clients.recorder import Outcomes
from tests.gateway.admissions import Authenticator, guarded, nothing_is_left
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, close_of


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/connecting", "tests.protocols.connecting")
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 0.1)


@asynccontextmanager
async def come(gateway: Gateway) -> AsyncIterator[RawWebSocket]:
    """Connect a client that has not said yet who it is."""
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/connecting", "Origin: https://page.example")).status == 101
        yield client


async def say(client: RawWebSocket, **said: object) -> None:
    """Let a client say something."""
    await client.send_frame(TEXT, json.dumps(said).encode())


async def hear(client: RawWebSocket) -> Any:
    """Return what a client is told next."""
    return json.loads((await client.frame()).payload)


def session_of(gateway: Gateway) -> MultiplexedSession:
    """Return the session of a gateway's only client."""
    (connection,) = parts_of(gateway).context.registry
    assert isinstance(connection.session, MultiplexedSession)
    return connection.session


async def test_nobody_is_asked_who_a_client_is_until_it_says_it() -> None:
    authenticator = Authenticator(lambda: Identity("ann"))
    async with guarded(authenticator) as gateway, come(gateway) as client:
        await say(client, id=1, subscribe="a")
        assert await hear(client) == {"id": 1, "error": "you may not subscribe to this channel"}
        await say(client, id=2, publish={"channel": "a", "data": 1})
        assert await hear(client) == {"id": 2, "error": "you may not publish to this channel"}
        assert (authenticator.asked, session_of(gateway).user) == ([], None)
        await say(client, connect="token")
        assert await hear(client) == {"connected": None}
        assert (authenticator.asked, session_of(gateway).user) == (["/connecting"], "ann")
        await say(client, id=3, subscribe="a")
        assert await hear(client) == {"id": 3, "ok": True}
    await wait_until(lambda: gateway.counters.connections_open == 0)


async def test_a_client_that_never_says_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.05)
    async with guarded(Authenticator()) as gateway, come(gateway) as client:
        frame = await client.frame()
        while frame.opcode != CLOSE:
            frame = await client.frame()
        assert close_of(frame) == (4000, "token expired")


async def test_the_clients_of_a_user_are_bounded_whenever_they_say_who_they_are() -> None:
    async with guarded(Authenticator(), max_connections_per_user=1) as gateway:
        async with come(gateway) as first, come(gateway) as second:
            await say(first, connect="token")
            assert await hear(first) == {"connected": None}
            await say(second, connect="token")
            assert await hear(second) == {"refused": 429}
        await wait_until(lambda: gateway.counters.connections_open == 0)
        async with come(gateway) as third:
            await say(third, connect="token")
            assert await hear(third) == {"connected": None}
        await wait_until(lambda: nothing_is_left(gateway))
        assert len(parts_of(gateway).front_door.limits.connections) == 0


@pytest.mark.parametrize("ending", ["drain", "stop"])
async def test_a_gateway_ends_while_it_is_asked_who_a_client_is(ending: str) -> None:
    authenticator = Authenticator.waiting_for(asyncio.Event())
    gateway = Gateway(
        Settings(port=0, drain_seconds=0, allowed_origins=("https://page.example",)), authenticator=authenticator
    )
    await gateway.start()
    async with come(gateway) as client:
        await say(client, connect="token")
        await wait_until(lambda: authenticator.asked)
        requests = parts_of(gateway).front_door.admission.sessions.requests
        assert len(requests) == 1
        before = asyncio.all_tasks()
        await getattr(gateway, ending)()
        assert len(requests) == 0
        assert authenticator.cancelled == 1
        assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("event_loop", ["asyncio"])
async def test_clients_that_leave_meanwhile_leave_nothing(event_loop: str) -> None:
    event = asyncio.Event()
    authenticator = Authenticator.waiting_for(event)
    async with guarded(authenticator, max_connections_per_user=100) as gateway:
        sessions = parts_of(gateway).front_door.admission.sessions
        async with leaving_nothing(gateway):
            for _ in range(3):
                async with come(gateway) as client:
                    await say(client, connect="token")
                    await wait_until(lambda: len(sessions.requests) == 1)
                await wait_until(lambda: not len(sessions.requests))
        assert authenticator.cancelled == 3
        assert len(parts_of(gateway).front_door.limits.connections) == 0
        await wait_until(lambda: nothing_is_left(gateway))


class KnowsTokens(Authenticator):
    """One that knows tokens for channels, too."""

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """See `SubscriptionAuthenticator`."""
        if token != "good":
            raise TokenRefused("invalid", "unknown")
        return SubscriptionGrant()


@pytest.mark.parametrize(("authenticator", "knows"), [(Authenticator(), False), (KnowsTokens(), True)])
async def test_an_authenticator_that_knows_tokens_of_channels_is_asked(
    authenticator: Authenticator, knows: bool
) -> None:
    outcomes = Outcomes()
    async with guarded(authenticator) as gateway, come(gateway) as client:
        await say(client, connect="token")
        await hear(client)
        session = session_of(gateway)
        for token in ("good", "bad"):
            session.subscribe(token, outcomes.of(token), SubscribeOptions(token=token))
        assert [isinstance(result, TokenRefused) for result in outcomes.results] == [not knows, True]
    await wait_until(lambda: gateway.counters.connections_open == 0)
