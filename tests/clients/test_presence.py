"""Who is on a channel, and who is told of it: clients of all kinds, with one gateway."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from relay import protocols
from relay.auth.authenticator import Identity
from tests.clients.presence_gateways import NAMESPACES, becomes, users
from tests.clients.presence_gateways import _hasty as _hasty
from tests.conftest import EmbeddedFactory
from tests.gateway.admissions import Authenticator, guarded
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.multiplexed_client import multiplexed
from tests.harness.poll_client import PollClient
from tests.harness.websocket_client import connected


async def test_clients_of_all_kinds_are_there_as_long_as_they_are_subscribed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with (
        connected(f"{gateway.url}/ws/seen:1?user=ann", f"{gateway.url}/ws/seen:1") as (ann, _),
        EventStreamClient(gateway.port, "/sse/seen:1?user=bob"),
    ):
        assert (await get(gateway.port, "/poll/seen:1?user=cem&wait=0")).status == 200
        await becomes(gateway, "seen:1", None, "ann", "bob", "cem")
        assert (await gateway.snapshot()).gauges.presence_members == 4
        await ann.close()
        await becomes(gateway, "seen:1", None, "bob", "cem")
    await becomes(gateway, "seen:1", "cem")  # a client that polls is there as long as its subscription
    for client in list(parts_of(gateway).polling_clients):
        client.evict()
    await becomes(gateway, "seen:1")
    await wait_until(lambda: not len(parts_of(gateway).context.node.presences))


async def test_a_poll_that_goes_on_by_position_is_there_while_it_waits(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    client = PollClient(gateway.port, "kept:1")
    await client.poll(wait=0)
    waiting = asyncio.create_task(client.poll(wait=20))
    await becomes(gateway, "kept:1", None)
    await gateway.publish("kept:1", "x")
    assert await waiting == ["x"]
    await becomes(gateway, "kept:1")


async def test_polls_without_a_user_that_go_on_by_position_are_there_and_nobody_is_told(
    embedded: EmbeddedFactory,
) -> None:
    """Each message ends them all: every watcher would be told of every one of them."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, "/sse/news:1?join_leave=1") as watcher:
        assert await watcher.told(2) == [("watching", None), ("join", None)]
        clients = [PollClient(gateway.port, "news:1") for _ in range(20)]
        for text in ("x", "y"):
            polls = [asyncio.create_task(client.poll(wait=20)) for client in clients]
            await becomes(gateway, "news:1", *[None] * 21)
            await gateway.publish("news:1", text)
            assert await asyncio.gather(*polls) == [[text]] * 20
            await becomes(gateway, "news:1", None)
        async with EventStreamClient(gateway.port, "/sse/news:1?user=ann"):
            assert (await watcher.told(3))[2:] == [("join", "ann")]


async def test_a_user_that_polls_is_told_to_come(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with EventStreamClient(gateway.port, "/sse/news:1?join_leave=1") as watcher:
        await watcher.told(2)
        polling = asyncio.create_task(get(gateway.port, "/poll/news:1?user=ann&wait=20"))
        assert (await watcher.told(3))[2:] == [("join", "ann")]
        await gateway.publish("news:1", "x")
        await polling
        assert (await watcher.told(4))[3:] == [("leave", "ann")]


async def test_a_client_of_several_channels_is_on_those_that_have_presence(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with multiplexed(f"{gateway.url}/multiplexed") as (client,):
        await client.subscribe("seen:1", "seen:2", "lobby")
        await becomes(gateway, "seen:1", None)
        await becomes(gateway, "seen:2", None)
        assert len(parts_of(gateway).context.node.presences) == 2
        await client.unsubscribe("seen:1")
        await becomes(gateway, "seen:1")
        assert await users(gateway, "seen:2") == [None]
    await becomes(gateway, "seen:2")


async def test_what_a_credential_shows_is_shown_and_renewed_by_the_next_poll() -> None:
    infos = [b'{"age": 7}', b'{"age": 8}']
    async with guarded(Authenticator(lambda: Identity("ann", info=infos[0])), namespaces=NAMESPACES) as gateway:
        client = PollClient(gateway.port, "seen:1")

        async def shown() -> list[object]:
            return [one.info for one in await parts_of(gateway).context.node.presence.members("seen:1")]

        async def is_shown() -> bool:
            return await shown() == [msgspec.Raw(infos[0])]

        await client.poll(wait=0)
        await wait_until(is_shown)
        del infos[0]
        await client.poll(wait=0)
        await wait_until(is_shown)


@pytest.mark.parametrize(
    "identity",
    [
        Identity("\ud800"),
        Identity(""),
        Identity("u" * 256),
        Identity(7),  # type: ignore[arg-type]
        Identity("ann", info=b"{"),
        Identity("ann", info=b'"\xff"'),
        Identity("ann", info={"a": 1}),  # type: ignore[arg-type]
    ],
    ids=range(7),
)
async def test_what_a_program_says_and_can_not_be_shown_is_its_fault(
    identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [identity, Identity("bob")]
    async with guarded(Authenticator(lambda: answers.pop(0)), namespaces=NAMESPACES) as gateway:
        assert (await get(gateway.port, "/poll/seen:1?wait=0")).status == 500
        assert "authenticator failed" in caplog.text
        assert (await get(gateway.port, "/poll/seen:2?wait=0")).status == 200
        await becomes(gateway, "seen:2", "bob")


async def test_channels_without_presence_have_none(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces=NAMESPACES)
    async with connected(f"{gateway.url}/ws/lobby"):
        node = parts_of(gateway).context.node
        interest, _ = node.claim("lobby")
        node.release(interest)
        assert not interest.present
        assert not len(node.presences)


async def test_what_an_application_shows_can_not_break_an_event() -> None:
    info = b'{"a":\n\r"\\n",\n\n"b": 1}'
    async with (
        guarded(Authenticator(lambda: Identity("ann", info=info)), namespaces=NAMESPACES) as gateway,
        EventStreamClient(gateway.port, "/sse/room:1?join_leave=1") as watcher,
    ):
        await watcher.told(2)
        assert watcher.presence[1][1]["info"] == {"a": "\n", "b": 1}
