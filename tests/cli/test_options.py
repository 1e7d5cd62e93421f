"""Settings as flags, and the list of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.cli.options import load_settings
from relay.settings import Settings
from relay.settings.report import describe
from tests.cli.command import invoke, run


def test_every_setting_is_a_flag_of_serve() -> None:
    """With meaning, variable, default and allowed values, under its group."""
    words = " ".join(invoke("serve", "--help").output.split())
    for about in describe(Settings):
        assert f"{about.flag} " in words
        assert f"[{about.variable}; default: {about.default}" in words
        assert about.meaning in words
        assert f"{about.group}:" in words
    assert "[RELAY_PORT; default: 8000; 0 to 65535]" in words


def test_flags_are_read_like_variables() -> None:
    """Lists, numbers, choices; a flag that was not given is None."""
    settings = load_settings({"host": "127.0.0.1,::1", "port": "9000", "log_level": "DEBUG", "welcome": None})
    assert (settings.host, settings.port, settings.log_level) == (("127.0.0.1", "::1"), 9000, "debug")


def test_an_empty_flag_unsets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stronger than the environment, like every flag."""
    monkeypatch.setenv("RELAY_WELCOME", "hello")
    assert load_settings({"welcome": ""}).welcome is None
    assert load_settings({"welcome": None}).welcome == "hello"


@pytest.mark.parametrize("command", ["serve", "config", "check"])
def test_wrong_settings_are_listed_with_their_source(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of them, on standard error, with exit code 2 and without a password."""
    (tmp_path / ".env").write_text("RELAY_PING_TIMEOUT=99\n")
    monkeypatch.setenv("RELAY_BROKER_URL", "redis://user:hunter2@host:port")
    result = invoke(command, "--port", "many")
    assert result.exit_code == 2
    assert bool(result.stdout) == (command == "config")  # which shows all the others
    assert "hunter2" not in result.output
    lines = result.stderr.splitlines()
    assert lines[0] == "relay: 3 settings are wrong"
    assert "    given:    'many' (--port)" in lines
    assert "    given:    'redis://user:***@host:port' (env)" in lines
    assert "    given:    '99' (.env)" in lines
    assert "    allowed:  integer: 0 to 65535" in lines


def test_a_single_wrong_setting_is_counted_in_the_singular(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that conflicts with another setting is marked as a default."""
    monkeypatch.setenv("RELAY_PING_INTERVAL", "5")
    result = invoke("serve")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "relay: 1 setting is wrong",
        "",
        "  RELAY_PING_TIMEOUT",
        "    given:    10 (default)",
        "    allowed:  seconds: 0.1 to 3600 (at most RELAY_PING_INTERVAL, which is 5)",
    ]


def test_an_unknown_setting_is_named_beside_the_wrong_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may be the cause."""
    (tmp_path / ".env").write_text("RELAY_WELCOM=hello\n")
    monkeypatch.setenv("RELAY_PROT", "9000")
    result = invoke("serve", "--max-headers", "0")
    lines = result.stderr.splitlines()
    assert lines[0] == "relay: 1 setting is wrong, 2 unknown"
    assert "  RELAY_MAX_HEADERS" in lines
    assert lines[-2:] == [
        "  RELAY_WELCOM (.env) is not a setting; did you mean RELAY_WELCOME?",
        "  RELAY_PROT (env) is not a setting; did you mean RELAY_PORT?",
    ]


async def test_a_broken_line_is_reported_in_our_words_only(tmp_path: Path) -> None:
    """python-dotenv has a warning of its own, without the name."""
    (tmp_path / ".env").write_text("RELAY_WELCOME='never ended\n")
    for command in ("serve", "config", "publish"):
        outcome = await run(command, *(["lobby", "hi"] if command == "publish" else []))
        assert outcome.code == 2
        assert "dotenv" not in outcome.errors
        assert outcome.errors.startswith("relay: 1 setting is wrong\n\n  RELAY_WELCOME\n")
        assert "    given:    line 1 of .env, which can't be read\n" in outcome.errors


async def test_a_broken_line_of_another_program_is_ignored(tmp_path: Path) -> None:
    """It sets no variable of ours."""
    (tmp_path / ".env").write_text("OTHER='never ended\nRELAY_MAX_HEADERS=50\n")
    outcome = await run("config")
    assert (outcome.code, outcome.errors) == (0, "")


def test_a_broken_env_file_is_listed_too(tmp_path: Path) -> None:
    """It has no source but itself."""
    (tmp_path / ".env").write_bytes(b"RELAY_WELCOME=\xff\n")
    result = invoke("serve")
    assert result.exit_code == 2
    assert "  .env\n" in result.stderr
