"""Asks the gateways who is on a channel, once everything has come to rest."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.faults.clients.crowd import Crowd
from tests.faults.operations import Present
from tests.faults.recorder import Recorder
from tests.faults.stack.place import PRESENCE_SECONDS, Place
from tests.faults.stack.stack import Stack
from tests.harness.server_api import call

CONVERGED_SECONDS: Final = 3 * PRESENCE_SECONDS
"""Within which the answer is right: gateways that are gone are forgotten, and what Redis has lost is told again."""

PAUSE_SECONDS: Final = 0.5


async def ask_who_is_here(stack: Stack, crowd: Crowd, channel: str, recorder: Recorder) -> None:
    """Ask until all gateways give the right answer, or it is too late, and note the last answers."""
    expected = tuple(sorted(one.user for one in crowd.subscribers if one.channel == channel))
    until = recorder.now() + CONVERGED_SECONDS
    while True:
        answers = await asyncio.gather(*(_ask(place, channel) for place in stack.places))
        wrong = [users for users in answers if users != expected]
        if not wrong or recorder.now() > until:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    for users in wrong[:1] or answers[:1]:
        recorder.note(Present(at=recorder.now(), channel=channel, users=users, expected=expected))


async def _ask(place: Place, channel: str) -> tuple[str, ...]:
    """Return the users that a gateway names."""
    reply = await call(place.port, "presence", {"channel": channel})
    return tuple(sorted(client["user"] for client in reply["result"]["presence"].values()))
