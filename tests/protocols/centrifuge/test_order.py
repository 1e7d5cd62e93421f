"""The rules of order and state of the protocol, one test for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from relay.auth.authenticator import Identity
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.presence import presences
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.session_world import World
from tests.harness.conditions import stays_true, wait_until
from tests.protocols.centrifuge.conversation import BAD_REQUEST, REQUESTS, Conversation, a_world, publish


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_command_without_an_id_is_a_bad_request(format: str, name: str) -> None:
    client = Conversation(a_world(), format)
    client.say({name: REQUESTS[name]})
    assert client.ended == BAD_REQUEST


@pytest.mark.parametrize("name", [name for name in REQUESTS if "channel" in REQUESTS[name]])
async def test_a_command_without_its_channel_is_a_bad_request(format: str, name: str) -> None:
    client = Conversation(a_world(), format)
    client.begin(**{name: {key: value for key, value in REQUESTS[name].items() if key != "channel"}})
    assert client.ended == BAD_REQUEST


@pytest.mark.parametrize("command", [{"id": 5}, {"id": 5, "ping": {}}, {"ping": {}}, {"id": 5, "surprise": {}}])
async def test_a_command_without_a_request_that_there_is_is_a_bad_request(format: str, command: dict[str, Any]) -> None:
    client = Conversation(a_world(), format)
    client.say(command)
    assert client.ended == BAD_REQUEST


async def test_good_commands_in_front_of_a_bad_one_are_carried_out(format: str) -> None:
    client = Conversation(a_world(), format)
    client.say({"id": 5, "subscribe": {"channel": "a"}}, {"id": 6}, {"id": 7, "subscribe": {"channel": "b"}})
    assert client.ended == BAD_REQUEST
    assert client.replies[1:] == [{"id": 5, "subscribe": {}}]


async def test_what_can_not_be_read_is_a_bad_request(format: str) -> None:
    for payload in (b"", b"\xff\xff", b"{", b"[]"):
        client = Conversation(a_world(), format)
        client.send(payload)
        assert client.ended == BAD_REQUEST


@pytest.mark.parametrize("channel", ["a", "kept:a", "counted:a", "delta:a", "cache:a"])
async def test_the_reply_stands_in_front_of_publications(format: str, channel: str, late_bus: LateBus) -> None:
    world = a_world()
    client = Conversation(world, format)
    number = client.begin(subscribe={"channel": channel})
    publish(world, channel, b"1")
    late_bus.acknowledge(channel)
    publish(world, channel, b"2")
    await wait_until(lambda: len(client.replies) == 2)
    publish(world, channel, b"3")
    told = [one.get("id") or one["push"]["pub"]["data"] for one in client.everything[1:]]
    assert told[0] == number
    assert told[-1] in (3, "3")
    assert told.index(number) == 0


async def test_commands_are_answered_in_the_order_in_which_they_were_sent(format: str, late_bus: LateBus) -> None:
    world = a_world()
    client = Conversation(world, format)
    commands = [{"id": number, "subscribe": {"channel": f"c{number}"}} for number in (5, 6, 7)]
    client.say(
        *commands, {"id": 8, "publish": {"channel": "c5", "data": 1}}, {"id": 9, "unsubscribe": {"channel": "c6"}}
    )
    assert client.session.paused, "no more is read while some wait"
    for number in (5, 6, 7):
        assert [one["id"] for one in client.replies[1:]] == list(range(5, number))
        await wait_until(lambda number=number: f"c{number}" in late_bus.futures)
        late_bus.acknowledge(f"c{number}")
        await wait_until(lambda number=number: len(client.replies) > number - 4)
    await wait_until(lambda: len(client.replies) == 6)
    assert [one["id"] for one in client.replies[1:]] == [5, 6, 7, 8, 9]
    await wait_until(lambda: not client.session.paused)


async def test_the_first_message_may_subscribe(format: str) -> None:
    world = a_world()
    world.gate = asyncio.Event()
    world.identities[None] = Identity("ann")
    client = Conversation(world, format, connected=False)
    client.say(
        {"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": "a"}}, {"id": 3, "unsubscribe": {"channel": "b"}}
    )
    assert await stays_true(lambda: client.everything == [], 0.02)
    world.gate.set()
    await wait_until(lambda: len(client.replies) == 3)
    assert [list(one)[1] for one in client.replies] == ["connect", "subscribe", "unsubscribe"]


MANY = 2000


@pytest.mark.parametrize("name", ["unsubscribe", "subscribe", "publish", "history", "sub_refresh"])
async def test_as_many_commands_may_wait_as_a_message_has(format: str, name: str) -> None:
    """However deep that would be, if each was carried out within the one before."""
    world = a_world()
    world.gate = asyncio.Event()
    world.identities[None] = Identity("ann")
    client = Conversation(world, format, connected=False)
    request: dict[str, Any] = {name: {"channel": "a", **({"data": 1} if name == "publish" else {})}}
    client.say({"id": 1, "connect": {}}, *({"id": n, **request} for n in range(2, MANY)))
    world.gate.set()
    await wait_until(lambda: not client.session.paused or "abort" in client.client.acts)
    assert [one["id"] for one in client.replies] == list(range(1, MANY))


async def test_ids_may_repeat(format: str) -> None:
    client = Conversation(a_world(), format)
    for channel in "ab":
        client.say({"id": 1, "subscribe": {"channel": channel}})
    client.say({"id": 2**32 - 1, "unsubscribe": {"channel": "a"}})
    assert [one["id"] for one in client.replies] == [1, 1, 1, 2**32 - 1]


async def test_an_unsubscription_waits_for_the_subscription(format: str, late_bus: LateBus) -> None:
    client = Conversation(a_world(), format)
    client.say({"id": 5, "subscribe": {"channel": "a"}}, {"id": 6, "unsubscribe": {"channel": "a"}})
    assert len(client.replies) == 1
    late_bus.acknowledge("a")
    await wait_until(lambda: len(client.replies) == 3)
    assert client.replies[1:] == [{"id": 5, "subscribe": {}}, {"id": 6, "unsubscribe": {}}]
    assert list(client.session.channels) == []


async def test_nothing_of_the_channel_follows_the_reply_to_an_unsubscription(format: str) -> None:
    world = a_world()
    client = Conversation(world, format)
    await client.ask(subscribe={"channel": "a"})
    publish(world, "a", b"1")
    assert await client.ask(unsubscribe={"channel": "a"}) == {"unsubscribe": {}}
    publish(world, "a", b"2")
    assert [push["pub"]["data"] for push in client.pushes] == [1]


async def test_an_unsubscription_from_nothing_is_done(format: str) -> None:
    client = Conversation(a_world(), format)
    assert await client.ask(unsubscribe={"channel": "a"}) == {"unsubscribe": {}}
    assert await client.ask(unsubscribe={"channel": "not a channel"}) == {"unsubscribe": {}}


async def test_a_publisher_hears_its_own_publication_and_knows_itself(format: str) -> None:
    world = a_world()
    world.identities[None] = Identity("ann", info=b'{"name":"Ann"}')
    world.tokens.grants["t"] = SubscriptionGrant(info=b'{"role":1}')
    client = Conversation(world, format)
    await client.ask(subscribe={"channel": "a", "token": "t"})
    assert await client.ask(publish={"channel": "a", "data": {"x": 1}}) == {"publish": {}}
    world.node.hub.flush()
    info = {"user": "ann", "client": client.session.id.hex(), "conn_info": {"name": "Ann"}, "chan_info": {"role": 1}}
    assert client.pushes == [{"channel": "a", "pub": {"data": {"x": 1}, "info": info}}]


@pytest_asyncio.fixture
async def telling(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world that tells its bus at once who comes and who goes."""
    monkeypatch.setattr(presences.Presences.__init__, "__kwdefaults__", {"linger_seconds": 0.0, "batch_seconds": 0.001})
    world = a_world()
    task = asyncio.create_task(world.node.presences.run())
    yield world
    task.cancel()
    await asyncio.wait([task])


async def test_joins_and_leaves_are_heard_behind_the_reply(format: str, telling: World) -> None:
    world = telling
    world.identities = {None: Identity("ann"), "bob": Identity("bob", info=b"[1]")}
    client = Conversation(world, format)
    await client.ask(subscribe={"channel": "seen:a", "join_leave": True})
    await wait_until(lambda: len(client.everything) == 3)
    me = {"user": "ann", "client": client.session.id.hex()}
    assert list(client.everything[1]) == ["id", "subscribe"]
    assert client.everything[2] == {"push": {"channel": "seen:a", "join": {"info": me}}}
    other = Conversation(world, format, connected=False)
    other.begin(connect={"token": "bob"})
    other.begin(subscribe={"channel": "seen:a"})
    await wait_until(lambda: len(client.pushes) == 2)
    bob = {"user": "bob", "client": other.session.id.hex(), "conn_info": [1]}
    assert client.pushes[1:] == [{"channel": "seen:a", "join": {"info": bob}}]
    assert other.pushes == [], "it has not asked for that"
    assert (await client.ask(presence={"channel": "seen:a"}))["presence"]["presence"] == {
        me["client"]: me,
        bob["client"]: bob,
    }
    assert (await client.ask(presence_stats={"channel": "seen:a"}))["presence_stats"] == {
        "num_clients": 2,
        "num_users": 2,
    }
    await other.ask(unsubscribe={"channel": "seen:a"})
    await wait_until(lambda: len(client.pushes) == 3)
    assert client.pushes[2:] == [{"channel": "seen:a", "leave": {"info": bob}}]
    assert list((await client.ask(presence={"channel": "seen:a"}))["presence"]["presence"]) == [me["client"]]


async def test_nobody_hears_joins_who_does_not_ask_or_may_not(format: str, telling: World) -> None:
    client = Conversation(telling, format)
    await client.ask(subscribe={"channel": "seen:a"})
    await client.ask(subscribe={"channel": "a", "join_leave": True})
    assert await stays_true(lambda: client.pushes == [], 0.02)


async def test_what_comes_after_the_end_is_ignored(format: str) -> None:
    world = a_world()
    client = Conversation(world, format)
    client.begin(connect={})
    assert client.ended == BAD_REQUEST
    client.protocol.received(client.session, client.protocol.wire.format.kind, b"nonsense")
    assert len(client.everything) == 1
    assert world.nothing_is_left()


async def test_a_client_that_leaves_with_commands_under_way_is_told_nothing(format: str, late_bus: LateBus) -> None:
    world = a_world()
    client = Conversation(world, format)
    client.say(*({"id": number, "subscribe": {"channel": f"c{number}"}} for number in range(5, 9)))
    client.leave()
    await wait_until(world.nothing_is_left)
    assert len(client.everything) == 1
