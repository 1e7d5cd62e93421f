"""What waits to be let in when its connection is lost."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from relay.web.admission_wait import AdmissionWait
from relay.web.http_transport import HttpTransport


async def handle(transport: HttpTransport | None, admitted: asyncio.Future[None] | None, done: list[str]) -> None:
    """Do what a request does: wait to be let in, and then for something else."""
    request: Any = SimpleNamespace(transport=transport)
    with AdmissionWait(request):
        if admitted is not None:
            await admitted
        done.append("admitted")
    await asyncio.sleep(0)
    done.append("answered")


def make_transport() -> HttpTransport:
    """Return the transport of a connection."""
    anything: Any = SimpleNamespace()
    return HttpTransport(anything, anything)


def make_lost_transport() -> HttpTransport:
    """Return the transport of a connection that was lost."""
    transport = make_transport()
    transport.lose()
    return transport


async def test_it_ends_with_the_connection() -> None:
    transport, done = make_transport(), list[str]()
    task = asyncio.create_task(handle(transport, asyncio.get_running_loop().create_future(), done))
    await asyncio.sleep(0)
    transport.lose()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == []


@pytest.mark.parametrize("make", [lambda: None, make_lost_transport])
async def test_it_ends_when_the_connection_was_lost_before(make: Any) -> None:
    done = list[str]()
    with pytest.raises(asyncio.CancelledError):
        await handle(make(), asyncio.get_running_loop().create_future(), done)
    assert done == []


async def test_what_has_been_let_in_goes_on_without_its_connection() -> None:
    transport, done = make_transport(), list[str]()
    task = asyncio.create_task(handle(transport, None, done))
    await asyncio.sleep(0)
    transport.lose()
    await task
    assert done == ["admitted", "answered"]


@pytest.mark.parametrize("make", [lambda: None, make_lost_transport])
async def test_what_need_not_wait_goes_on_though_the_connection_was_lost_before(make: Any) -> None:
    done = list[str]()
    await handle(make(), None, done)
    assert done == ["admitted", "answered"]
