"""Every number that the relay sends is reached, and there is no other."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.authenticator import Identity
from relay.auth.server_side import ServerSide
from relay.errors import CustomDisconnect
from relay.limits.channels import ChannelLimits
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.pushes import Unsubscribe
from relay.protocols.centrifuge.results import Error
from relay.protocols.multiplexed import ServerSubscription
from relay.rpc_call import RpcDisconnect, RpcError
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge import close_cases, error_cases
from tests.protocols.centrifuge.code_cases import Test
from tests.protocols.centrifuge.conversation import Conversation, a_world

CASES = [*error_cases.CASES, *close_cases.CASES]


@pytest.mark.parametrize("format", ["json", "protobuf"])
@pytest.mark.parametrize(("code", "test"), CASES, ids=lambda one: str(getattr(one, "code", "")))
async def test_a_code_is_sent(code: object, test: Test, format: str) -> None:
    await test(format)


def test_no_other_code_is_ever_sent() -> None:
    """But those that a back end chooses."""
    constants = [value for value in vars(codes).values() if isinstance(value, Error | Unsubscribe | Close)]
    assert [code for code, _ in CASES] == constants


@pytest.mark.parametrize("format", ["json", "protobuf"])
async def test_a_back_end_chooses_others(format: str) -> None:
    client = Conversation(a_world(), format)
    answers = client.world.rpc.answers
    answers["wrong"] = RpcError(400, "too much", temporary=False)
    answers["later"] = RpcError(1999, "too early", temporary=True)
    answers["end"] = RpcDisconnect(4500, "enough")
    assert await client.ask(rpc={"method": "wrong"}) == {"error": {"code": 400, "message": "too much"}}
    later = {"error": {"code": 1999, "message": "too early", "temporary": True}}
    assert await client.ask(rpc={"method": "later"}) == later
    client.begin(rpc={"method": "end"})
    await wait_until(lambda: client.ended)
    assert client.ended == (4500, "enough")
    client = Conversation(a_world(), format)
    client.session.close(CustomDisconnect(4501, "go away"))
    assert client.ended == (4501, "go away")


async def test_a_user_with_too_many_clients_may_come_when_one_has_left() -> None:
    world = a_world(per_user=1)
    world.identities["ann"] = Identity("ann")
    world.gate = asyncio.Event()
    first, second = (Conversation(world, connected=False) for _ in range(2))
    for one in (first, second):
        one.begin(connect={"token": "ann"})
    first.leave()
    world.gate.set()
    await wait_until(lambda: second.replies)
    assert "connect" in second.reply(1)


@pytest.mark.parametrize("others", ["before", "after"])
async def test_one_close_is_enough_where_several_subscriptions_can_not_be(others: str) -> None:
    """Where they are too many none begins; behind one that can't be, none is tried."""
    world = a_world(channels=ChannelLimits.of(3))
    names = ["a", "b", "c", "d"] if others == "before" else ["not a channel", "a", "b"]
    given = {name: ServerSubscription() for name in names}
    world.identities["t"] = Identity("ann", server_side=ServerSide(given))
    client = Conversation(world, connected=False)
    client.begin(connect={"token": "t"})
    await wait_until(lambda: client.ended)
    assert client.ended == ((3505, "channel limit") if others == "before" else (3004, "internal server error"))
    assert len(client.client.closed) == 1
    await wait_until(world.nothing_is_left)
