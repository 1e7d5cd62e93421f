"""What the tests of the fan-out share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from relay.fan_out.direct_fan_out import DirectFanOut
from tests.fan_out.members import MakeMember, one_member
from tests.harness.fan_outs import NATIVE, need


@pytest_asyncio.fixture
async def member() -> AsyncIterator[MakeMember]:
    """Connect members: `await member(1)`."""
    async with AsyncExitStack() as stack:
        yield lambda number: stack.enter_async_context(one_member(number))


@pytest.fixture(params=NATIVE)
def fan_out(request: pytest.FixtureRequest) -> DirectFanOut:
    """A fan-out by each of the native ways."""
    need(request.param)
    return DirectFanOut(io_uring=request.param == "io_uring", least=1)
