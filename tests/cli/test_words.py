"""Every command reports errors of the system in words: without its numbers, and without places in C files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.command import invoke_aside, run
from tests.harness.free_port import free_port

NUMBERS = re.compile(r"Errno|WinError|_ssl\.c|\[SSL|Error -?\d+|\b111\b|Traceback")


def cases() -> dict[str, tuple[list[str], int, str]]:
    """Return command lines that can't succeed, with their exit codes and words that they say."""
    dead = f"127.0.0.1:{free_port()}"
    return {
        "publish to a gateway": (["publish", "a", "hi", "--gateway", f"ws://{dead}"], 1, "connection refused"),
        "publish by name": (["publish", "a", "hi", "--gateway", "ws://no.such.invalid"], 1, "can't be reached"),
        "publish to Redis": (["publish", "a", "hi", "--broker-url", f"redis://{dead}"], 1, "Connection refused"),
        "publish without socket": (["publish", "a", "hi", "--broker-url", "unix:///no/such"], 1, "No such file"),
        "publish with a file": (
            ["publish", "a", "hi", "--broker-url", f"rediss://{dead}", "--broker-ca-file", "/no/such"],
            2,
            "No such file or directory",
        ),
        "health": (["health", "--url", f"http://{dead}"], 1, "Connection refused"),
        "health by name": (["health", "--url", "http://no.such.invalid"], 1, "no.such.invalid port 80: "),
        "serve elsewhere": (["serve", "--host", "203.0.113.7", "--port", "0"], 1, "no such address"),
        "loadtest": (["loadtest", f"ws://{dead}", "--duration", "1s", "--warm-up", "0s"], 1, "connection refused"),
        "loadtest by name": (["loadtest", "ws://no.such.invalid"], 2, "no.such.invalid"),
        "loadtest with Redis": (["loadtest", f"ws://{dead}", "--redis", f"redis://{dead}"], 2, "Connection refused"),
    }


@pytest.mark.parametrize("case", list(cases()))
async def test_a_failure_is_reported_in_words(case: str) -> None:
    """And with the exit code of its kind."""
    arguments, code, words = cases()[case]
    # Handlers of signals need a main thread.
    outcome = await (run if arguments[0] in ("serve", "loadtest") else invoke_aside)(*arguments)
    said = outcome.output + outcome.errors
    assert outcome.code == code, said
    assert words in said
    assert not NUMBERS.search(said.replace(" ".join(arguments), ""))


@pytest.mark.parametrize(
    "command", [["serve"], ["config"], ["check"], ["publish", "a", "hi"], ["subscribe", "a"], ["health"]]
)
async def test_an_env_file_that_is_none_is_reported_in_words(command: list[str], tmp_path: Path) -> None:
    """By every command that loads settings."""
    (tmp_path / ".env").write_bytes(b"RELAY_WELCOME=\xff\n")
    outcome = await invoke_aside(*command)
    assert outcome.code == 2
    assert "  .env\n" in outcome.errors
    assert not NUMBERS.search(outcome.errors)
