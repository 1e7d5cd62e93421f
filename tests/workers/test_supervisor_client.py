"""The requests of a worker for the status of all workers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.metrics.snapshot import Snapshot
from relay.web.app_keys import Readiness
from relay.workers.messages import CombinedStatus, CombinedStatusRequest
from relay.workers.pipe import Pipe
from relay.workers.supervisor_client import SupervisorClient


async def test_simultaneous_calls_share_one_request() -> None:
    ours, theirs = socket.socketpair()
    pipe, supervisor = await Pipe.open(ours), await Pipe.open(theirs)
    client = SupervisorClient(pipe)
    calls = [asyncio.create_task(client.readiness()) for _ in range(3)]
    assert await supervisor.receive() == CombinedStatusRequest()
    client.receive(CombinedStatus(["draining"], Snapshot(), ["a note"]))
    assert await asyncio.gather(*calls) == [Readiness(["draining"], ["a note"])] * 3

    impatient = SupervisorClient(pipe, timeout_seconds=0.01)
    for call in (impatient.readiness, impatient.snapshot):
        with pytest.raises(TimeoutError):
            await call()
    impatient.receive(CombinedStatus([], Snapshot()))
    impatient.receive(CombinedStatus([], Snapshot()))  # no call waits for it
    assert await supervisor.receive() == CombinedStatusRequest()

    later = asyncio.create_task(client.snapshot())
    assert await supervisor.receive() == CombinedStatusRequest()
    client.receive(CombinedStatus([], Snapshot()))
    assert await later == Snapshot()
    await pipe.close()
    assert await supervisor.receive() is None
    await supervisor.close()
