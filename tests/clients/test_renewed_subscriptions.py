"""Subscriptions that end with their tokens, or are renewed."""

from __future__ import annotations

import asyncio

import pytest

from relay.auth.subscription_tokens import SubscriptionGrant
from relay.clients.connecting import RENEWAL_SECONDS
from relay.errors import SubscriptionError
from relay.protocols.request_errors import TokenRefused
from tests.clients.recorder import Outcomes, publish
from tests.clients.token_world import WITH_TOKEN, granting
from tests.clients.watching import said
from tests.harness.conditions import wait_until

lateness = pytest.mark.parametrize("late", [False, True])


async def test_a_subscription_ends_with_its_token_unless_the_client_renews_it(outcomes: Outcomes) -> None:
    """It begins to when the right ends. The client stays."""
    world = granting(60)
    client, session = world.join()
    for channel in ("a", "b"):
        session.subscribe(channel, outcomes.of(channel), WITH_TOKEN)
    session.subscribe("c", outcomes.of("c"))
    world.pass_seconds(60 + RENEWAL_SECONDS - 1)
    assert client.sent == []
    world.tokens.grants["u"] = SubscriptionGrant(expires_at=world.now + 100)
    session.renew_subscription("b", "u", outcomes.of("renewed"))
    assert outcomes.results[-1] == 100
    world.pass_seconds(1)
    assert said(client.sent) == [{"expired": "a"}]
    assert (set(session.channels), client.closed) == ({"b", "c"}, [])
    publish(world.node, "a", "b")
    assert len(client.delivered) == 1
    world.pass_seconds(100 + RENEWAL_SECONDS)
    assert said(client.sent) == [{"expired": "a"}, {"expired": "b"}]
    assert [name for name, _ in outcomes.told] == ["a", "b", "c", "renewed"]
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_a_subscription_that_has_ended_does_not_expire(outcomes: Outcomes) -> None:
    world = granting(60)
    client, session = world.join()
    for channel in ("unsubscribed", "revoked", "again"):
        session.subscribe(channel, outcomes.of(channel), WITH_TOKEN)
    assert len(world.expirations) == 3
    session.unsubscribe("unsubscribed")
    session.revoke("revoked")
    session.unsubscribe("again")
    session.subscribe("again", outcomes.of("again"))
    assert len(world.expirations) == 0
    client.sent.clear()
    world.pass_seconds(1000)
    assert (client.sent, list(session.channels)) == ([], ["again"])


@lateness
async def test_a_subscription_is_renewed_without_end(outcomes: Outcomes, late: bool) -> None:
    world = granting(60)
    client, session = world.join()
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    world.tokens.grants["for ever"] = SubscriptionGrant()
    if late:
        world.tokens.gate = asyncio.Event()
    session.renew_subscription("a", "for ever", outcomes.of("renewed"))
    if world.tokens.gate is not None:
        await wait_until(lambda: world.tokens.waiting)
        assert len(outcomes.told) == 1
        world.tokens.gate.set()
        await wait_until(lambda: len(outcomes.told) == 2)
    assert outcomes.results[1] is None
    assert len(world.expirations) == 0
    client.leave()
    await wait_until(world.nothing_is_left)


async def test_a_renewal_that_is_refused_changes_nothing(outcomes: Outcomes) -> None:
    world = granting(60)
    client, session = world.join()
    with pytest.raises(SubscriptionError, match="not subscribed"):
        session.renew_subscription("a", "t", outcomes.of("x"))
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    session.renew_subscription("a", "bad", outcomes.of("bad"))
    assert isinstance(outcomes.results[1], TokenRefused)
    world.pass_seconds(60 + RENEWAL_SECONDS - 1)
    assert list(session.channels) == ["a"]
    world.pass_seconds(1)
    assert said(client.sent) == [{"expired": "a"}]


@pytest.mark.parametrize("how", ["unsubscribe", "anew", "leave"])
async def test_a_subscription_that_ends_while_it_is_renewed(outcomes: Outcomes, how: str) -> None:
    world = granting(60)
    client, session = world.join()
    session.subscribe("a", outcomes.of("a"), WITH_TOKEN)
    world.tokens.gate = gate = asyncio.Event()
    session.renew_subscription("a", "t", outcomes.of("renewed"))
    await wait_until(lambda: world.tokens.waiting)
    if how == "leave":
        client.leave()
    else:
        session.unsubscribe("a")
    world.tokens.gate = None
    if how == "anew":
        session.subscribe("a", outcomes.of("anew"))
    gate.set()
    await wait_until(lambda: not len(world.context.requests))
    assert len(world.expirations) == 0
    if how == "leave":
        assert len(outcomes.told) == 1
    else:
        assert outcomes.told[-1][0] == "renewed"
        assert isinstance(outcomes.results[-1], SubscriptionError)
        client.leave()
    await wait_until(world.nothing_is_left)
