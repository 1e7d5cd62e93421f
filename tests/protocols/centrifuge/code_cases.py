"""Ways to reach a code, by code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from relay.errors import Refused
from relay.protocols.centrifuge.pushes import Disconnect as Close
from relay.protocols.centrifuge.pushes import Unsubscribe
from relay.protocols.centrifuge.results import Error
from tests.clients.session_world import World
from tests.harness.conditions import wait_until
from tests.protocols.centrifuge.conversation import Conversation, a_world

Test = Callable[[str], Awaitable[None]]


class Cases(list[tuple[Error | Unsubscribe | Close, Test]]):
    """Codes, and what reaches each."""

    def reaching(self, code: Error | Unsubscribe | Close) -> Callable[[Test], Test]:
        """Register what reaches a code."""

        def register(test: Test) -> Test:
            self.append((code, test))
            return test

        return register


async def refused(client: Conversation, error: Error, **request: Any) -> None:
    """Say a command, and fail unless it is answered with an error, and the client stays."""
    reply = await client.ask(**request)
    told = {"code": error.code, "message": error.message} | ({"temporary": True} if error.temporary else {})
    assert reply == {"error": told}
    assert client.ended is None


def closed(client: Conversation, close: Close) -> None:
    """Fail unless a client was closed with a code, and has left nothing."""
    assert client.ended == (close.code, close.reason)
    assert client.session.open is False


async def closing(client: Conversation, close: Close, **request: Any) -> None:
    """Say a command, and fail unless it closes the client without a reply."""
    before = len(client.replies)
    client.begin(**request)
    await wait_until(lambda: client.ended)
    closed(client, close)
    assert len(client.replies) == before


def refusing(refusal: Refused) -> tuple[World, str]:
    """Return a world that refuses a token."""
    world = a_world()
    world.refusals["t"] = refusal
    return world, "t"
