"""What a client may say before, with and behind its connect command."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated
from relay.clients.connecting import CONNECT_SECONDS
from relay.errors import Disconnect
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.conversation import BAD_REQUEST, REQUESTS, Conversation, a_world


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_first_command_must_be_connect(format: str, name: str) -> None:
    client = Conversation(a_world(), format, connected=False)
    client.begin(**{name: REQUESTS[name]})
    assert (client.ended, client.everything) == (BAD_REQUEST, [])


async def test_a_client_that_does_not_connect_in_time_is_stale(format: str) -> None:
    world = a_world()
    client = Conversation(world, format, connected=False)
    world.pass_seconds(CONNECT_SECONDS)
    assert client.ended == (3502, "stale")
    assert world.nothing_is_left()


async def test_a_client_that_the_relay_lets_in_too_slowly_comes_back(format: str) -> None:
    """It has said who it is: 3502 would keep all clients of a slow back end away for good."""
    world = a_world()
    world.gate = asyncio.Event()
    client = Conversation(world, format, connected=False)
    client.begin(connect={})
    world.pass_seconds(CONNECT_SECONDS)
    assert client.ended == (3004, "internal server error")
    await wait_until(world.nothing_is_left)


@pytest.mark.parametrize("why", [Disconnect.KEEPALIVE_TIMEOUT, Disconnect.MESSAGE_TIMEOUT])
@pytest.mark.parametrize("state", ["new", "connecting", "connected"])
async def test_a_client_whose_line_is_bad_comes_back(format: str, state: str, why: Disconnect) -> None:
    """A phone whose network sleeps, say, before it has said who it is, or while the relay looks."""
    world = a_world()
    client = Conversation(world, format, connected=state == "connected")
    world.gate = asyncio.Event()
    if state == "connecting":
        client.begin(connect={})
    client.session.close(why)
    assert client.ended == (3012, "no pong")
    await wait_until(world.nothing_is_left)


async def test_a_second_connect_is_a_bad_request(format: str) -> None:
    client = Conversation(a_world(), format)
    client.begin(connect={})
    assert client.ended == BAD_REQUEST


async def test_a_second_connect_is_one_too_while_the_first_waits(format: str) -> None:
    world = a_world()
    world.gate = asyncio.Event()
    client = Conversation(world, format, connected=False)
    client.begin(connect={})
    client.begin(connect={})
    assert client.ended == BAD_REQUEST
    await wait_until(world.nothing_is_left)


async def test_after_an_expired_token_the_client_is_told_and_heard_no_more(format: str) -> None:
    world = a_world()
    world.refusals["old"] = Unauthenticated("expired", "the token has expired")
    world.identities["new"] = Identity("ann")
    client = Conversation(world, format, connected=False)
    client.say({"id": 1, "connect": {"token": "old"}}, {"id": 2, "subscribe": {"channel": "a"}})
    assert client.everything == [{"id": 1, "error": {"code": 109, "message": "token expired"}}]
    client.say({"id": 3, "connect": {"token": "new"}})
    client.send(b"\0 nonsense")
    assert (client.ended, len(client.everything), world.asked) == (None, 1, 1)
    world.pass_seconds(CONNECT_SECONDS)
    assert client.ended == (3502, "stale")


async def test_who_is_told_so_late_is_read_on_so_that_its_going_is_noticed(format: str) -> None:
    world = a_world()
    world.refusals["old"] = Unauthenticated("expired", "the token has expired")
    world.gate = asyncio.Event()
    client = Conversation(world, format, connected=False)
    client.say({"id": 1, "connect": {"token": "old"}}, {"id": 2, "subscribe": {"channel": "a"}})
    assert client.client.acts == ["pause"]
    world.gate.set()
    await wait_until(lambda: client.client.acts == ["pause", "resume"])
    assert client.everything == [{"id": 1, "error": {"code": 109, "message": "token expired"}}]
    client.leave()


@pytest.mark.parametrize(
    ("refusal", "ended"),
    [
        (Unauthenticated("wrong_signature", "forged"), (3500, "invalid token")),
        (Unauthenticated(MISSING, "a token is needed"), BAD_REQUEST),
    ],
    ids=["invalid", "missing"],
)
async def test_a_wrong_token_and_none_close_the_client(
    format: str, refusal: Unauthenticated, ended: tuple[int, str]
) -> None:
    world = a_world()
    world.refusals["t"] = refusal
    client = Conversation(world, format, connected=False)
    client.say({"id": 1, "connect": {"token": "t"}}, {"id": 2, "publish": {"channel": "a", "data": 1}})
    assert (client.ended, client.everything) == (ended, [])
    assert world.counters.messages_received == 0
    assert world.nothing_is_left()


async def test_a_pong_is_heard_once_for_each_ping(format: str) -> None:
    client = Conversation(a_world(), format)
    for _ in range(2):
        ping = client.protocol.ping()
        assert ping is not None
        client.client.send(ping)
        assert client.everything[-1] == {}
        client.say({})
        assert client.ended is None
    client.say({})
    assert client.ended == BAD_REQUEST


async def test_a_pong_before_any_ping_is_a_bad_request(format: str) -> None:
    for connected in (False, True):
        client = Conversation(a_world(), format, connected=connected)
        client.say({})
        assert client.ended == BAD_REQUEST
