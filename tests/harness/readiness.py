"""Waiting for what `/readyz` says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.http_response import HttpResponse, get


class Listening(Protocol):
    """A gateway, in a process of its own or in this one."""

    @property
    def port(self) -> int:
        """Its TCP port."""


async def told_ready(gateway: Listening, expected: bool = True, within: float = PATIENCE_SECONDS) -> HttpResponse:
    """Return the answer of `/readyz` once it says ready, or not ready."""
    answer: HttpResponse | None = None

    async def is_as_expected() -> bool:
        nonlocal answer
        answer = await get(gateway.port, "/readyz")
        return (answer.status == 200) is expected

    await wait_until(is_as_expected, within, lambda: f"port {gateway.port}: ready is {expected}; {answer}")
    assert answer is not None
    return answer


async def all_told_ready(
    gateways: Sequence[Listening], expected: bool = True, within: float = PATIENCE_SECONDS
) -> list[HttpResponse]:
    """Do what `told_ready` does, for several gateways at the same time."""
    return await asyncio.gather(*(told_ready(gateway, expected, within) for gateway in gateways))
