"""Users that are blocked: at the door, and while they are on their way in."""

from __future__ import annotations

import time

import pytest

from relay import Gateway
from relay.auth.authenticator import Identity
from relay.control.commands import BlockCommand
from relay.control.messages import UnblockCommand
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.conftest import EmbeddedFactory
from tests.gateway.admissions import SUBSCRIBERS, WAYS, Authenticator, ask, every_way, guarded, refusals, success
from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected


def block(gateway: Gateway, user: str = "ann", seconds: float = 60.0) -> None:
    """Tell a gateway that a user is blocked, as another gateway would."""
    parts_of(gateway).control.send(BlockCommand(user=user, until=time.time() + seconds))


@every_way
async def test_a_blocked_user_is_refused_with_a_sentence(way: str) -> None:
    async with guarded(Authenticator()) as gateway:
        block(gateway)
        async with RawWebSocket(gateway.port) as client:
            response = await ask(client, way)
            assert (response.status, response.text) == (403, "this user is blocked for now\n")
            assert refusals(gateway, way) == {"http_publish 403" if way == "publish" else "blocked": 1}
            if way != "websocket":
                assert response.headers["access-control-allow-origin"] == "https://page.example"
        parts_of(gateway).control.send(UnblockCommand(user="ann"))
        async with RawWebSocket(gateway.port) as client:
            assert (await ask(client, way)).status == success(way)


@every_way
async def test_others_are_let_in(way: str) -> None:
    for user in ("bob", "Ann", "ann1", None):
        async with guarded(Authenticator(lambda user=user: Identity(user))) as gateway:  # type: ignore[misc]
            block(gateway)
            async with RawWebSocket(gateway.port) as client:
                assert (await ask(client, way)).status == success(way)


async def test_a_block_ends_by_itself() -> None:
    async with guarded(Authenticator()) as gateway:
        block(gateway, seconds=0.3)

        async def let_in() -> bool:
            async with RawWebSocket(gateway.port) as client:
                return (await ask(client, "websocket")).status == 101

        assert not await let_in()
        await wait_until(let_in)


@pytest.mark.parametrize("way", SUBSCRIBERS)
async def test_one_that_is_blocked_while_it_waits_for_the_bus_is_not_let_in(way: str, late_bus: LateBus) -> None:
    """It is not connected yet, so no command would close it."""
    async with guarded(Authenticator()) as gateway, RawWebSocket(gateway.port) as client:
        await client.send(WAYS[way])
        await wait_until(lambda: late_bus.callbacks_of("a") == 1)
        parts_of(gateway).control.blocked_users.carry_out(BlockCommand(user="ann", until=time.time() + 60))
        late_bus.acknowledge("a")
        assert (await client.response()).status == 403
        assert refusals(gateway, way) == {"blocked": 1}
        late_bus.futures.clear()


async def test_those_who_are_connected_are_closed_and_publish_nothing_more(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    urls = [f"{gateway.url}/ws/a?user={user}" for user in ("ann", "ann", "bob")]
    async with connected(*urls) as (ann, other_ann, bob):
        block(gateway)
        for client in (ann, other_ann):
            assert await client.ended() == (1008, "user blocked")
        assert gateway.counters.disconnects == {"USER_BLOCKED": 2}
        await bob.send("hello")
        await wait_until(lambda: gateway.counters.messages_published >= 2)
        assert bob.is_open


async def test_without_the_list_clients_with_a_user_are_refused_and_the_others_are_not(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    blocked_users = parts_of(gateway).control.blocked_users
    monkeypatch.setattr(blocked_users, "_known", False)
    assert gateway.problems == ["blocked users: not read yet"]
    assert not gateway.ready
    answer = await get(gateway.port, "/poll/a?wait=0&user=ann")
    assert (answer.status, answer.text) == (503, "the gateway does not know yet which users are blocked\n")
    assert "retry-after" in answer.headers
    assert gateway.counters.connections_refused == {"blocks_unread": 1}
    assert (await get(gateway.port, "/poll/a?wait=0")).status == 200


async def test_without_the_bus_the_list_is_no_problem_of_its_own(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=f"redis://127.0.0.1:{free_port()}", broker_timeout=0.2)
    assert gateway.problems
    assert not any("blocked users" in problem for problem in gateway.problems)


async def test_it_is_shown_how_many_are_blocked(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    block(gateway)
    block(gateway, "bob")
    assert "\nrelay_blocked_users 2.0\n" in (await get(gateway.port, "/metrics")).text
