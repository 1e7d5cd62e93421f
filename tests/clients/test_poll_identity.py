"""Who polls with a cursor: each request brings a credential, and what that gives counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay import Gateway, Settings
from relay.auth.authenticator import EVERYTHING, Identity
from relay.auth.rights import PatternRights, compile_patterns
from relay.errors import Refused
from relay.protocols.request import ConnectRequest
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse, get
from tests.harness.inside import parts_of

HOUR = 3600.0


class Credentials:
    """Knows clients by their credentials, as `?token=`.

    Attributes:
        identities: by credential; may be changed.
        asked: how many requests it has identified.
    """

    def __init__(self) -> None:
        self.identities = {"ann": Identity("ann"), "bob": Identity("bob"), "nobody": Identity(None)}
        self.asked = 0

    def identify(self, request: ConnectRequest) -> Identity:
        self.asked += 1
        try:
            return self.identities[request.query.get("token", "")]
        except KeyError:
            raise Refused(401, "who are you?") from None


@asynccontextmanager
async def running(credentials: Credentials) -> AsyncIterator[Gateway]:
    settings = Settings(port=0, drain_seconds=0, ping_interval=3600)
    async with Gateway(settings, authenticator=credentials) as gateway:
        yield gateway


async def poll(gateway: Gateway, token: str, cursor: str | None = None, wait: float = 0) -> HttpResponse:
    """Poll the channel `a`."""
    given = "" if cursor is None else f"&cursor={cursor}"
    return await get(gateway.port, f"/poll/a?token={token}&wait={wait:g}{given}", 60)


def only_client(gateway: Gateway) -> Identity:
    """Return the identity of the one client that polls."""
    (client,) = parts_of(gateway).polling_clients
    return client.session.identity


@pytest.mark.parametrize(("owner", "other"), [("ann", "bob"), ("ann", "nobody"), ("nobody", "ann")])
async def test_the_cursor_of_another_users_client_is_unknown(owner: str, other: str) -> None:
    """It is answered as any cursor that no one has, and the owner notices nothing."""
    credentials = Credentials()
    async with running(credentials) as gateway:
        cursor = (await poll(gateway, owner)).json["cursor"]
        await gateway.publish("a", "a secret")
        stolen = (await poll(gateway, other, cursor)).json
        made_up = (await poll(gateway, other, "A" * 22 + ".0")).json
        for answer in (stolen, made_up):
            assert (answer["messages"], answer["missed"]) == ([], True)
            assert answer["cursor"].partition(".")[0] not in (cursor.partition(".")[0], "A" * 22)
        own = (await poll(gateway, owner, cursor)).json
        assert (own["messages"], own["missed"]) == ([{"kind": "text", "text": "a secret"}], False)


async def test_the_poll_of_the_owner_goes_on_waiting() -> None:
    async with running(Credentials()) as gateway:
        cursor = (await poll(gateway, "ann")).json["cursor"]
        waiting = asyncio.create_task(poll(gateway, "ann", cursor, wait=25))
        (client,) = parts_of(gateway).polling_clients
        await wait_until(lambda: client._waiting is not None)
        await poll(gateway, "bob", cursor)
        await gateway.publish("a", "hello")
        assert (await waiting).json["messages"] == [{"kind": "text", "text": "hello"}]


async def test_another_channel_with_the_cursor_of_another_user_says_nothing_of_it() -> None:
    async with running(Credentials()) as gateway:
        cursor = (await poll(gateway, "ann")).json["cursor"]
        answer = await get(gateway.port, f"/poll/b?token=bob&wait=0&cursor={cursor}")
        assert (answer.status, answer.json["missed"]) == (200, True)
        answer = await get(gateway.port, f"/poll/b?token=ann&wait=0&cursor={cursor}")
        assert (answer.status, answer.text) == (400, "cursor is one of another channel\n")


async def test_a_poll_without_a_valid_credential_is_refused_and_counted() -> None:
    async with running(Credentials()) as gateway:
        cursor = (await poll(gateway, "ann")).json["cursor"]
        assert (await poll(gateway, "", cursor)).status == 401
        assert gateway.counters.connections_refused == {"unauthorized": 1}
        assert (await poll(gateway, "ann", cursor)).json["missed"] is False


async def test_each_poll_is_identified_once() -> None:
    """Also one that gets a new subscription: a back end may be asked."""
    credentials = Credentials()
    async with running(credentials) as gateway:
        cursor = (await poll(gateway, "ann")).json["cursor"]
        assert credentials.asked == 1
        for number, (token, given) in enumerate([("ann", cursor), ("bob", cursor), ("ann", "A" * 22 + ".0")], 2):
            await poll(gateway, token, given)
            assert credentials.asked == number


async def test_a_newer_token_gives_the_client_its_end_and_its_rights() -> None:
    credentials = Credentials()
    now = time.time()
    credentials.identities["ann"] = Identity("ann", EVERYTHING, now + HOUR)
    async with running(credentials) as gateway:
        expirations = parts_of(gateway).context.registry.expirations
        cursor = (await poll(gateway, "ann")).json["cursor"]
        assert len(expirations) == 1
        rights = PatternRights(compile_patterns({"a": "r"}), "ann")
        credentials.identities["ann"] = newer = Identity("ann", rights, now + 2 * HOUR, b'{"name":"Ann"}')
        assert (await poll(gateway, "ann", cursor)).json["missed"] is False
        assert only_client(gateway) is newer
        assert len(expirations) == 1
        credentials.identities["ann"] = Identity("ann")
        await poll(gateway, "ann", cursor)
        assert only_client(gateway).expires_at is None
        assert len(expirations) == 0
        credentials.identities["ann"] = Identity("ann", EVERYTHING, time.time() + 0.3)
        answer = (await poll(gateway, "ann", cursor, wait=25)).json
        assert answer["closed"] == {"code": 1008, "reason": "token expired"}


async def test_rights_that_are_gone_end_the_subscription() -> None:
    credentials = Credentials()
    async with running(credentials) as gateway:
        cursor = (await poll(gateway, "ann")).json["cursor"]
        waiting = asyncio.create_task(poll(gateway, "ann", cursor, wait=25))
        (client,) = parts_of(gateway).polling_clients
        await wait_until(lambda: client._waiting is not None)
        await gateway.publish("other", "not for this one")
        credentials.identities["ann"] = Identity("ann", PatternRights(compile_patterns({"b": "r"}), "ann"))
        answer = await poll(gateway, "ann", cursor)
        assert (answer.status, answer.text) == (403, "you may not subscribe to this channel\n")
        assert (await waiting).json["closed"] == {"code": 1008, "reason": "not allowed"}
        counters = gateway.counters
        assert (counters.polls_open, counters.connections_closed) == (0, {1008: 1})
        assert counters.connections_refused == {"forbidden": 1}
        assert (await poll(gateway, "ann", cursor)).status == 403
