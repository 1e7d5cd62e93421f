"""A worker that asks for all."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.metrics.snapshot import Snapshot
from relay.workers import supervisor_client
from relay.workers.messages import TellWhole, Whole
from relay.workers.pipe import Link
from relay.workers.supervisor_client import SupervisorClient


async def test_those_who_ask_together_get_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    link, supervisor = await Link.open(ours), await Link.open(theirs)
    asking = SupervisorClient(link)
    questions = [asyncio.create_task(asking.problems()) for _ in range(3)]
    assert await supervisor.receive() == TellWhole()
    asking.answered(Whole(["draining"], Snapshot()))
    assert await asyncio.gather(*questions) == [["draining"]] * 3

    monkeypatch.setattr(supervisor_client, "WAIT_SECONDS", 0.01)
    for ask in (asking.problems, asking.snapshot):
        with pytest.raises(TimeoutError):
            await ask()
    asking.answered(Whole([], Snapshot()))
    asking.answered(Whole([], Snapshot()))  # nobody has asked
    assert await supervisor.receive() == TellWhole()
    await link.close()
    assert await supervisor.receive() is None
    await supervisor.close()
