"""How a load test ends when it is interrupted or asked for something impossible: exit code, file and words."""

from __future__ import annotations

import pytest

from tests.cli.command import invoke
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until
from tests.harness.faulty_server import DroppedMessages
from tests.harness.free_port import free_port
from tests.harness.load_test import LoadTest, run_load_test
from tests.harness.rough_server import DeafServer
from tests.harness.server_session import ServerSession
from tests.honesty.trial import SMALL

pytestmark = pytest.mark.usefixtures("_empty_environment")


@pytest.fixture
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of a fixed width."""
    monkeypatch.setenv("COLUMNS", "100")


async def test_ctrl_c_ends_it_and_what_was_found_until_then_is_written() -> None:
    """All messages that were sent are checked; those that weren't due yet are nobody's fault."""
    options = (*SMALL, "--duration", "60s", "--workers", "2")
    async with DroppedMessages(50) as server, LoadTest(server.url, *options) as load_test:
        await wait_until(lambda: server.messages > 120, within=20.0, what=lambda: f"{server.messages} messages")
        load_test.interrupt()
        outcome = await load_test.ended(within=15.0)
    faults, (step,) = outcome.result.faults, outcome.result.steps
    assert (outcome.code, outcome.result.interrupted) == (130, True), outcome.errors
    assert (faults.lost, faults.closed, faults.unsent) == (len(server.faults), {}, 0)
    assert step.delivered == server.deliveries.total()
    assert step.expected == step.delivered + faults.lost
    assert step.offered == server.messages
    assert "Traceback" not in outcome.output + outcome.errors


async def test_ctrl_c_in_the_ramp_ends_it_too() -> None:
    options = (*SMALL, "--clients", "1000", "--connect-rate", "50")
    async with BroadcastServer() as server, LoadTest(server.url, *options) as load_test:
        await wait_until(lambda: server.accepted > 10, within=20.0, what=lambda: f"{server.accepted} connections")
        load_test.interrupt()
        outcome = await load_test.ended(within=15.0)
    assert (outcome.code, outcome.result.interrupted, server.messages) == (130, True, 0)
    assert server.accepted < 1000
    assert "Traceback" not in outcome.output + outcome.errors


async def test_a_second_ctrl_c_does_not_wait_for_stragglers() -> None:
    options = (*SMALL, "--rate", "2000", "--size", "20000", "--duration", "60s", "--drain", "60s")
    async with DeafServer(10, receive_buffer=8192) as server, LoadTest(server.url, *options) as load_test:
        await wait_until(lambda: server.messages >= 10, within=20.0, what=lambda: f"{server.messages} messages")
        load_test.interrupt()
        assert not await load_test.ends(within=2.0)
        load_test.interrupt()
        outcome = await load_test.ended(within=5.0)
    assert outcome.code == 130, outcome.errors
    assert "Traceback" not in outcome.output + outcome.errors


async def test_nobody_at_the_address_fails_with_the_cause() -> None:
    outcome = await run_load_test(f"ws://127.0.0.1:{free_port()}", *SMALL)
    assert (outcome.code, outcome.result.faults.refused) == (1, {"connection refused": 5})
    assert "connection refused" in outcome.output
    assert "Traceback" not in outcome.output + outcome.errors


class ClosingServer(BroadcastServer):
    """Ends each session as soon as it has begun."""

    def opened(self, session: ServerSession) -> None:
        session.end()


async def test_a_server_that_closes_everybody_at_once_does_not_keep_the_ramp_going_for_ever() -> None:
    async with ClosingServer() as server:
        outcome = await run_load_test(server.url, *SMALL, "--reconnect", "--connect-timeout", "1s", "--drain", "1s")
    assert outcome.code == 1
    assert set(outcome.result.faults.closed) == {"did not come back"}
    assert outcome.result.faults.returned


NOBODY = "ws://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "URL"),
        (["ftp://127.0.0.1:1"], "ws://"),
        (["127.0.0.1:8000"], "ws://"),
        ([NOBODY, "--profile", "nosuch"], "broadcast"),
        ([NOBODY, "--fail-if", "nonsense"], "p99>50ms"),
        ([NOBODY, "--fail-if", "p98>1ms"], "p99"),
        ([NOBODY, "--fail-if", "p99>soon"], "soon"),
        ([NOBODY, "--duration", "soon"], "soon"),
        ([NOBODY, "--duration", "0s"], "--duration"),
        ([NOBODY, "--size", "10"], "48"),
        ([NOBODY, "--clients", "0", "--publishers", "0"], "--clients"),
        ([NOBODY, "--publish-frame", "no place"], "{payload}"),
        ([NOBODY, "--ready-frame", "("], "--ready-frame"),
        ([NOBODY, "--answer-frame", "no arrow"], "=>"),
        ([NOBODY, "--source-address", "192.0.2.1"], "192.0.2.1"),
        ([NOBODY, "--json", "/no/such/folder/result.json"], "/no/such/folder"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_wrong_usage_is_explained(arguments: list[str], word: str) -> None:
    outcome = invoke("loadtest", *arguments)
    assert outcome.exit_code == 2, outcome.output
    assert word in outcome.stderr
    assert "Traceback" not in outcome.stderr
