"""Commands that are clients, at a gateway that wants a key or a token."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.command import Outcome, invoke, invoke_aside, run, running
from tests.cli.test_loadtest_run import Course
from tests.cli.test_loadtest_run import course as course
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.websocket_client import connected

KEYS = "everything-0123456789,readonly-0123456789;user=ann;a=r"
EVERYTHING, READ_ONLY = "everything-0123456789", "readonly-0123456789"


async def test_a_message_is_sent_with_the_token_of_the_option_or_of_the_environment(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1, auth="key", auth_keys=KEYS)
    arguments = ("publish", "--gateway", gateway.url, "a", "hello")
    async with connected(f"{gateway.url}/ws/a?token={READ_ONLY}") as (listener,):
        assert (await invoke_aside(*arguments, "--token", EVERYTHING)).code == 0
        monkeypatch.setenv("RELAY_TOKEN", f"{EVERYTHING}\n")
        assert (await invoke_aside(*arguments)).code == 0
        assert await listener.receive(2) == ["hello", "hello"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "answered HTTP 401: it wants a key or a token, with RELAY_TOKEN or --token"),
        (
            ["--token", "another-0123456789"],
            "answered HTTP 401: it doesn't accept this key or token; `relay token --check` may know why",
        ),
        (["--token", READ_ONLY], "closed with 1008 not allowed"),
    ],
)
async def test_a_publisher_without_the_right_is_told_what_is_missing(
    embedded: EmbeddedFactory, arguments: list[str], reason: str
) -> None:
    (gateway,) = await embedded(1, auth="key", auth_keys=KEYS)
    outcome = await invoke_aside("publish", "--gateway", gateway.url, "a", "hello", *arguments)
    assert outcome == Outcome(1, "", f"relay: not delivered to a: {gateway.url} {reason}\n")


async def test_a_publisher_that_may_not_listen_is_told_that_it_has_to(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, auth="key", auth_keys="writeonly-0123456789;a=w")
    outcome = await invoke_aside("publish", "--gateway", gateway.url, "a", "hi", "--token", "writeonly-0123456789")
    assert outcome.code == 1
    assert outcome.errors.endswith(
        "answered HTTP 403: this key or token gives no right to listen to the channel, which this command needs, too, "
        "as it waits for its echo\n"
    )


async def test_a_tail_follows_with_its_token(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, auth="key", auth_keys=KEYS)
    arguments = ("subscribe", "--gateway", gateway.url, "a", "--count", "1")
    async with running(*arguments, RELAY_TOKEN=READ_ONLY) as process:
        await wait_until(lambda: gateway.counters.connections_open == 1)
        await gateway.publish("a", "hello")
        output, _ = await process.communicate()
        assert (process.returncode, output) == (0, b"hello\n")
    outcome = await invoke_aside(*arguments)
    reason = "answered HTTP 401: it wants a key or a token, with RELAY_TOKEN or --token"
    assert outcome == Outcome(1, "", f"relay: {gateway.url} {reason}\n")


def test_a_load_test_sends_the_token_with_each_client_and_shows_it_nowhere(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["relay", "loadtest", "ws://127.0.0.1:1", "--token", EVERYTHING])
    result = invoke("loadtest", "ws://127.0.0.1:1", "--token", EVERYTHING, "--json", str(tmp_path / "result"))
    assert result.exit_code == 0, result.output
    assert course.plan.dialect.headers == (("Authorization", f"Bearer {EVERYTHING}"),)
    assert EVERYTHING not in (tmp_path / "result").read_text()
    assert EVERYTHING not in result.output


async def test_a_load_test_of_gateways_that_want_a_key(tmp_path: Path) -> None:
    """Those of the settings, with the key of the environment; the report has neither."""
    report = tmp_path / "report.html"
    outcome = await run(
        *(
            "loadtest",
            "--gateways",
            "1",
            "--clients",
            "5",
            "--duration",
            "1s",
            "--warm-up",
            "0s",
            "--report",
            str(report),
        ),
        RELAY_AUTH="key",
        RELAY_AUTH_KEYS=EVERYTHING,
        RELAY_TOKEN=EVERYTHING,
    )
    assert outcome.code == 0, outcome.errors
    page = await asyncio.to_thread(report.read_text)
    assert "RELAY_AUTH_KEYS" in page
    assert EVERYTHING not in page + outcome.output + outcome.errors


@pytest.mark.parametrize("token", ["two words", "ümlaut", "line\nbreak", "esc\x1b"])
@pytest.mark.parametrize("command", [["publish", "a", "hi"], ["subscribe", "a"], ["loadtest", "ws://h"]])
def test_a_token_that_no_header_can_carry_is_wrong_usage(command: list[str], token: str) -> None:
    """It isn't repeated."""
    result = invoke(*command, "--token", token)
    assert result.exit_code == 2
    assert "a token has ASCII characters only, and no white space" in result.stderr
    assert token not in result.output
