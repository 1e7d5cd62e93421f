"""Subscriptions that the server makes for a client: with its identity, by a back end, and as it knows them."""

from __future__ import annotations

import asyncio
from typing import Any

from relay.auth.authenticator import Identity
from relay.auth.server_side import ServerSide
from relay.auth.subscription_tokens import SubscriptionGrant
from relay.errors import Disconnect
from relay.limits.channels import ChannelLimits
from relay.limits.rate import Rate
from relay.protocols.multiplexed import ServerSubscription
from tests.clients.late_bus import LateBus
from tests.clients.late_bus import late_bus as late_bus
from tests.clients.recorder import OnlyPublic
from tests.clients.session_world import World
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.conversation import Conversation, a_world, publish


def given(*channels: str, **more: Any) -> World:
    """Return a world in which a token comes with subscriptions."""
    world = a_world(**more)
    subscriptions = {name: ServerSubscription(b'{"role":1}', b'{"d":1}') for name in channels}
    world.identities["t"] = Identity("ann", OnlyPublic(), server_side=ServerSide(subscriptions, b'["hello"]'))
    return world


async def test_they_are_told_with_the_answer_and_deliver(format: str) -> None:
    world = given("a", "kept:b")
    client = Conversation(world, format, connected=False)
    connect = (await client.ask(connect={"token": "t"}))["connect"]
    epoch = connect["subs"]["kept:b"]["epoch"]
    assert connect["data"] == ["hello"]
    assert connect["subs"] == {
        "a": {"data": {"d": 1}},
        "kept:b": {"recoverable": True, "epoch": epoch, "positioned": True, "data": {"d": 1}},
    }
    publish(world, "a", b"1")
    assert client.pushes == [{"channel": "a", "pub": {"data": 1}}]
    assert await client.ask(unsubscribe={"channel": "a"}) == {"unsubscribe": {}}
    publish(world, "a", b"2")
    assert len(client.pushes) == 1
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_the_answer_stands_in_front_of_everything(format: str, late_bus: LateBus) -> None:
    """Also of the messages of those subscriptions that have begun already."""
    world = given("a", "b", "kept:c")
    client = Conversation(world, format, connected=False)
    client.say({"id": 1, "connect": {"token": "t"}}, {"id": 2, "subscribe": {"channel": "public"}})
    late_bus.acknowledge("a")
    await wait_until(lambda: world.node.hub.subscribers("a"))
    publish(world, "a", b"1")
    late_bus.acknowledge("kept:c")
    await wait_until(lambda: world.node.hub.subscribers("kept:c"))
    publish(world, "kept:c", b"2")
    assert client.everything == []
    late_bus.acknowledge("b")
    await wait_until(lambda: len(client.everything) == 3)
    connect, *pushes = client.everything
    assert sorted(connect["connect"]["subs"]) == ["a", "b", "kept:c"]
    assert [push["push"]["pub"]["data"] for push in pushes] == [1, 2]
    late_bus.acknowledge("public")
    await wait_until(lambda: client.everything[3:] == [{"id": 2, "subscribe": {}}])


async def test_one_that_fails_closes_the_client(format: str, late_bus: LateBus) -> None:
    world = given("a", "b")
    client = Conversation(world, format, connected=False)
    client.begin(connect={"token": "t"})
    late_bus.refuse("a")
    await wait_until(lambda: client.ended)
    assert (client.ended, client.everything) == ((3004, "internal server error"), [])
    await wait_until(world.nothing_is_left)


async def test_a_client_knows_from_before_what_it_has_had(format: str) -> None:
    world = given("kept:a")
    client = Conversation(world, format, connected=False)
    epoch = (await client.ask(connect={"token": "t"}))["connect"]["subs"]["kept:a"]["epoch"]
    publish(world, "kept:a", b"1")
    client.leave()
    publish(world, "kept:a", b"2", b"3")
    again = Conversation(world, format, connected=False)
    known = {"kept:a": {"recover": True, "epoch": epoch, "offset": 1}}
    connect = (await again.ask(connect={"token": "t", "subs": known}))["connect"]
    assert connect["subs"]["kept:a"] == {
        "recoverable": True,
        "epoch": epoch,
        "publications": [{"data": 2, "offset": 2}, {"data": 3, "offset": 3}],
        "recovered": True,
        "offset": 1,
        "positioned": True,
        "data": {"d": 1},
        "was_recovering": True,
    }


async def test_those_that_are_given_count_as_no_request(format: str) -> None:
    """The client has done nothing for them, and its own are not used up by them."""
    world = given(*(f"a{number}" for number in range(6)), channels=ChannelLimits(20, Rate(1.0, 5)))
    client = Conversation(world, format, connected=False)
    assert len((await client.ask(connect={"token": "t"}))["connect"]["subs"]) == 6
    client.session.subscribe_by_server("b", ServerSubscription())
    for number in range(5):
        assert await client.ask(subscribe={"channel": f"public:{number}"}) == {"subscribe": {}}
    assert await client.error(subscribe={"channel": "public:5"}) == 111


async def test_behind_a_gap_nothing_comes_until_the_client_comes_again(format: str) -> None:
    """A later message would move its position past those that it has missed, and it is closed only in its turn."""
    world = given("kept:a", "b")
    client = Conversation(world, format, connected=False)
    epoch = (await client.ask(connect={"token": "t"}))["connect"]["subs"]["kept:a"]["epoch"]
    publish(world, "kept:a", b"1")
    client.client.missed("kept:a", world.node.recoveries.position("kept:a"))
    publish(world, "kept:a", b"2")
    publish(world, "b", b"3")
    assert [push["pub"]["data"] for push in client.pushes] == [1, 3], "of others it hears meanwhile"
    assert client.client.to_be_closed is Disconnect.MISSED
    client.session.close(client.client.to_be_closed)
    assert client.ended == (3010, "insufficient state")
    again = Conversation(world, format, connected=False)
    known = {"kept:a": {"recover": True, "epoch": epoch, "offset": 1}}
    connect = (await again.ask(connect={"token": "t", "subs": known}))["connect"]
    assert [one["data"] for one in connect["subs"]["kept:a"]["publications"]] == [2]


async def test_behind_a_gap_a_back_end_begins_it_no_more(format: str) -> None:
    """Its position would be moved past what the client has missed, too."""
    world = a_world()
    client = Conversation(world, format)
    client.session.subscribe_by_server("kept:a", ServerSubscription())
    await wait_until(lambda: client.pushes)
    client.client.missed("kept:a", world.node.recoveries.position("kept:a"))
    client.session.subscribe_by_server("kept:a", ServerSubscription())
    publish(world, "kept:a", b"1")
    assert [list(push)[1:] for push in client.pushes] == [["subscribe"]]
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_what_a_client_asks_for_and_may_not_have_is_left_out(format: str) -> None:
    """As in Centrifugo: it gets those that it could subscribe to itself."""
    world = given()
    client = Conversation(world, format, connected=False)
    subs: dict[str, Any] = {"public": {}, "closed": {}, "not a channel": {}}
    connect = (await client.ask(connect={"token": "t", "subs": subs}))["connect"]
    assert connect["subs"] == {"public": {}}
    assert list(client.session.channels) == ["public"]


async def test_where_all_are_left_out_the_client_is_answered(format: str) -> None:
    client = Conversation(given(), format, connected=False)
    connect = (await client.ask(connect={"token": "t", "subs": {"closed": {}}}))["connect"]
    assert "subs" not in connect
    assert await client.ask(subscribe={"channel": "public"}) == {"subscribe": {}}


async def test_a_client_that_asks_for_more_than_it_can_have_is_closed_before_any_is_looked_at(format: str) -> None:
    """Whether it may have them or not: 16,000 names would hold up all others for 100 ms."""
    world = given("a", channels=ChannelLimits(3, Rate(1.0, 5)))
    client = Conversation(world, format, connected=False)
    subs: dict[str, Any] = {"closed:1": {}, "closed:2": {}}
    assert list((await client.ask(connect={"token": "t", "subs": subs}))["connect"]["subs"]) == ["a"]
    again = Conversation(world, format, connected=False)
    again.say({"id": 1, "connect": {"token": "t", "subs": {**subs, "closed:3": {}}}})
    await wait_until(lambda: again.ended)
    assert (again.ended, again.everything) == ((3505, "channel limit"), [])


async def test_each_user_has_personal_channels(format: str) -> None:
    world = given("a", personal=["personal:{sub}"])
    client = Conversation(world, format, connected=False)
    connect = (await client.ask(connect={"token": "t"}))["connect"]
    assert connect["subs"] == {"personal:ann": {}, "a": {"data": {"d": 1}}}


async def test_a_back_end_subscribes_and_unsubscribes(format: str) -> None:
    client = Conversation(a_world(), format)
    client.session.subscribe_by_server("kept:a", ServerSubscription(data=b'{"d":1}'))
    await wait_until(lambda: client.pushes)
    epoch = client.pushes[0]["subscribe"]["epoch"]
    told = {"recoverable": True, "epoch": epoch, "positioned": True, "data": {"d": 1}}
    assert client.pushes == [{"channel": "kept:a", "subscribe": told}]
    publish(client.world, "kept:a", b"1")
    client.session.revoke("kept:a")
    assert [list(push)[1] for push in client.pushes] == ["subscribe", "pub", "unsubscribe"]
    client.session.subscribe_by_server("a", ServerSubscription())
    assert client.pushes[3:] == [{"channel": "a", "subscribe": {}}]
    client.session.subscribe_by_server("not a channel", ServerSubscription())
    assert len(client.pushes) == 4


async def test_a_back_end_that_subscribes_while_the_client_does_changes_nothing(format: str, late_bus: LateBus) -> None:
    client = Conversation(a_world(), format)
    number = client.begin(subscribe={"channel": "a"})
    client.session.subscribe_by_server("a", ServerSubscription())
    client.session.revoke("b")
    late_bus.acknowledge("a")
    await wait_until(lambda: len(client.replies) == 2)
    assert (client.reply(number), client.pushes) == ({"subscribe": {}}, [])


async def test_a_subscription_that_a_back_end_revokes_before_it_has_begun_fails(format: str, late_bus: LateBus) -> None:
    client = Conversation(a_world(), format)
    number = client.begin(subscribe={"channel": "a"})
    client.session.revoke("a")
    assert (client.reply(number)["error"]["code"], client.pushes) == (100, [])


async def test_a_back_end_lets_a_client_stay_for_longer(format: str) -> None:
    client = Conversation(a_world(), format)
    client.protocol.renewed(client.session, 60.5)
    client.protocol.renewed(client.session, None)
    assert client.pushes == [{"refresh": {"expires": True, "ttl": 60}}, {"refresh": {}}]
    early = Conversation(a_world(), format, connected=False)
    early.protocol.renewed(early.session, 60)
    assert early.everything == []


async def test_no_right_lasts_longer_than_a_year_for_a_client(format: str) -> None:
    """`exp: 9999999999` is how some say "for ever": in milliseconds no timer of JavaScript, in seconds no uint32."""
    world = a_world()
    far = world.identities["t"] = Identity(None, expires_at=9_999_999_999)
    client = Conversation(world, format, connected=False)
    year = 365 * 24 * 3600
    assert (await client.ask(connect={"token": "t"}))["connect"]["ttl"] == year
    assert await client.ask(refresh={"token": "t"}) == {"refresh": {"expires": True, "ttl": year}}
    world.tokens.grants["s"] = SubscriptionGrant(expires_at=far.expires_at)
    for command in ("subscribe", "sub_refresh"):
        result = (await client.ask(**{command: {"channel": "a", "token": "s"}}))[command]
        assert result == {"expires": True, "ttl": year}
    client.protocol.renewed(client.session, 1e11)
    assert client.pushes == [{"refresh": {"expires": True, "ttl": year}}]


async def test_a_client_renews_its_own_right(format: str) -> None:
    world = a_world()
    client = Conversation(world, format)
    world.identities["t"] = Identity(None, expires_at=world.now + 60)
    world.identities["for ever"] = Identity(None)
    assert await client.ask(refresh={"token": "t"}) == {"refresh": {"expires": True, "ttl": 60}}
    assert await client.ask(refresh={"token": "for ever"}) == {"refresh": {}}
    world.pass_seconds(1e6)
    assert client.ended is None


async def test_a_client_that_leaves_while_its_subscriptions_begin_leaves_nothing(
    format: str, late_bus: LateBus
) -> None:
    world = given("a", "kept:b")
    client = Conversation(world, format, connected=False)
    client.begin(connect={"token": "t"})
    await asyncio.sleep(0)
    client.leave()
    await wait_until(world.nothing_is_left)
    assert client.everything == []
