"""A run whose clients can't resume at a server is told why before it begins."""

from __future__ import annotations

import pytest

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.plan.server_address import resolve
from relay.loadtest.run.history_probe import NoHistoryError, check_history
from tests.harness.faulty_history import StrictHistory
from tests.harness.free_port import free_port
from tests.harness.history_server import HistoryServer


async def ask(*urls: str) -> None:
    """Ask some servers."""
    plan = Plan(urls=urls, dialect=Dialect(), connect_timeout=10.0)
    await check_history(plan, 0xAB, [resolve(url) for url in urls])


async def test_a_server_with_a_history_is_good() -> None:
    async with HistoryServer() as server:
        await ask(server.url, server.url)


@pytest.mark.parametrize("history", ["400", "403"])
async def test_one_of_the_servers_without_a_history_is_named(history: str) -> None:
    """Whether or not the client may ask for the history."""
    async with HistoryServer() as first, StrictHistory(int(history), keeps=False) as second:
        with pytest.raises(NoHistoryError) as caught:
            await ask(first.url, second.url)
    assert (caught.value.url, caught.value.channel) == (second.url, "loadtest-0000ab-0")
    assert "RELAY_HISTORY_SIZE" in str(caught.value)


async def test_who_may_not_ask_for_the_history_may_resume() -> None:
    async with StrictHistory(403) as server:
        await ask(server.url)


async def test_a_server_without_polls_is_told() -> None:
    async with StrictHistory(404) as server:
        with pytest.raises(NoHistoryError, match="there is no /poll"):
            await ask(server.url)


@pytest.mark.parametrize("status", [401, 503])
async def test_what_else_is_wrong_shows_in_the_run(status: int) -> None:
    async with StrictHistory(status) as server:
        await ask(server.url, f"ws://127.0.0.1:{free_port()}")
