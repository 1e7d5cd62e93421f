"""`relay config`: every setting, in four forms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from relay.settings import Settings
from relay.settings.report import describe
from tests.cli.command import invoke, on_terminal, run


def test_a_pipe_gets_aligned_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line a setting, no colours, nothing cut however narrow the terminal is."""
    monkeypatch.setenv("COLUMNS", "20")
    (tmp_path / ".env").write_text("RELAY_MAX_HEADERS=50\n")
    monkeypatch.setenv("RELAY_WELCOME", "hello [red]there[/red]\x1b[31m" + "!" * 100)
    result = invoke("config", "--port", "9000")
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert re.split("  +", heading) == ["variable", "value", "source", "type", "meaning"]
    rows = {cells[0]: cells for cells in (re.split("  +", line) for line in lines)}
    assert list(rows) == [about.variable for about in describe(Settings)]
    assert rows["RELAY_PORT"] == [
        "RELAY_PORT", "9000", "flag", "integer", "TCP port to listen on; 0 takes any free one."
    ]  # fmt: skip
    assert rows["RELAY_MAX_HEADERS"][1:4] == ["50", ".env", "integer"]
    assert rows["RELAY_WELCOME"][1:3] == ["hello [red]there[/red]\\x1b[31m" + "!" * 100, "env"]
    assert rows["RELAY_SLOW_CONSUMER"][1:4] == ["close", "default", "close|drop"]
    assert "\x1b" not in result.output
    starts = {line.index(rows[line.split()[0]][4]) for line in lines}
    assert len(starts) == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_passwords_are_masked(form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In every form that shows values."""
    monkeypatch.setenv("RELAY_BROKER_URL", "redis://user:hunter2@host/1")
    monkeypatch.setenv("RELAY_API_KEYS", "hunter2-of-a-back-end,another-hunter2-of-one")
    monkeypatch.setenv("RELAY_AUTH_KEYS", "hunter2-of-a-client;user=ann,another-hunter2-of-one")
    monkeypatch.setenv("RELAY_JWT_SECRET", "hunter2" * 5)
    result = invoke("config", *form)
    assert result.exit_code == 0, result.exception
    assert result.output.count("***") == 6
    assert "hunter2" not in result.output
    assert "redis://user:***@host/1" in result.output


def test_json_has_typed_values() -> None:
    """For scripts."""
    result = invoke("config", "--json", "--host", "127.0.0.1,::1", "--broker-timeout", "2.5")
    entries = {entry["variable"]: entry for entry in json.loads(result.stdout)}
    assert entries["RELAY_HOST"]["value"] == ["127.0.0.1", "::1"]
    assert entries["RELAY_HOST"]["source"] == "flag"
    assert entries["RELAY_MAX_CONNECTIONS"]["value"] is None
    assert entries["RELAY_BROKER_TIMEOUT"] == {
        "variable": "RELAY_BROKER_TIMEOUT",
        "value": 2.5,
        "source": "flag",
        "type": "seconds",
        "allowed": "0.1 to 60",
        "default": "3",
        "group": "Bus",
        "meaning": "Seconds to connect; also seconds of silence after which a link counts as dead.",
    }


def test_the_env_file_sets_nothing_until_it_is_edited(tmp_path: Path) -> None:
    """And with every # removed it holds the defaults, which are accepted."""
    text = invoke("config", "--env").stdout
    (tmp_path / ".env").write_text(text)
    assert dotenv_values(tmp_path / ".env") == {}
    (tmp_path / ".env").write_text(text.replace("#RELAY_", "RELAY_"))
    assert set(dotenv_values(tmp_path / ".env")) == {about.variable for about in describe(Settings)}
    assert Settings() == Settings.model_construct()


def test_the_env_file_can_be_had_with_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is needed most."""
    monkeypatch.setenv("RELAY_PORT", "many")
    assert invoke("config", "--env").exit_code == 0
    assert invoke("config").exit_code == 2


def test_the_markdown_table_has_a_row_for_each_setting() -> None:
    """With as many cells as its heading."""
    lines = invoke("config", "--markdown").stdout.splitlines()
    assert len(lines) == 2 + len(describe(Settings))
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


NAMESPACES = '{"chat": {"history_size": 100}, "news": {"max_message_bytes": 1000, "rights": "", "positions": true}}'


def test_namespaces_are_shown_as_they_are_written_and_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table shows what is so, wherever it was said."""
    monkeypatch.setenv("RELAY_NAMESPACES", NAMESPACES)
    monkeypatch.setenv("RELAY_SLOW_CONSUMER", "drop")
    result = invoke("config", "--history-size", "5")
    settings, _, table = result.stdout.partition("\n\n")
    (row,) = [line for line in settings.splitlines() if line.startswith("RELAY_NAMESPACES ")]
    assert '  {"chat":{"history_size":100},"news":{"positions":true,"max_message_bytes":1000,"rights":""}}  env' in row
    names, *rows = (re.split("  +", line) for line in table.splitlines())
    cells = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    assert list(cells) == ["chat", "news", "(all other channels)"]
    assert cells["chat"] == {
        "namespace": "chat",
        "history_size": "100",
        "history_ttl": "300",
        "history_bytes": "1048576",
        "positions": "yes",
        "presence": "-",
        "join_leave": "-",
        "force_push_join_leave": "-",
        "slow_consumer": "close",
        "max_message_bytes": "65536",
        "rights": "-",
        "subscriber_rights": "-",
        "no_json": "drop",
        "delta": "-",
        "cache": "-",
    }
    assert [cells["news"][name] for name in ("history_size", "history_ttl", "slow_consumer")] == ["0", "-", "drop"]
    assert [cells["news"][name] for name in ("positions", "max_message_bytes", "rights")] == ["yes", "1000", "none"]
    assert cells["(all other channels)"]["history_size"] == "5"


@pytest.mark.parametrize("in_a_file", [False, True])
def test_json_has_the_options_of_namespaces(in_a_file: bool, tmp_path: Path) -> None:
    file = tmp_path / "namespaces.json"
    file.write_text(NAMESPACES)
    given = ("--namespaces-file", str(file)) if in_a_file else ("--namespaces", NAMESPACES)
    entries = {entry["variable"]: entry for entry in json.loads(invoke("config", "--json", *given).stdout)}
    if in_a_file:
        assert entries["RELAY_NAMESPACES_FILE"]["value"] == str(file)
        assert entries["RELAY_NAMESPACES_FILE"]["namespaces"] == json.loads(NAMESPACES)
        assert entries["RELAY_NAMESPACES"]["value"] is None
    else:
        assert entries["RELAY_NAMESPACES"]["value"] == json.loads(NAMESPACES)


async def test_a_terminal_shows_namespaces() -> None:
    code, shown = await on_terminal("config", columns=160, RELAY_NAMESPACES=NAMESPACES)
    assert code == 0
    assert re.search(r"chat.* 100 .* 300 .* 1048576 .*yes", shown)


def test_every_wrong_part_of_namespaces_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_NAMESPACES", '{"chat": {"history_size": -1}, "news": 5}')
    result = invoke("config")
    assert result.exit_code == 2
    assert "relay: 2 settings are wrong" in result.stderr
    assert "  RELAY_NAMESPACES: chat.history_size\n    given:    -1 (env)\n    allowed:  integer: 0 to" in result.stderr
    assert "  RELAY_NAMESPACES: news\n    given:    5 (env)\n    allowed:  an object of options" in result.stderr
    rows = {line.split()[0]: re.split("  +", line) for line in result.stdout.splitlines()[1:]}
    assert rows["RELAY_NAMESPACES"][1:] == [
        "chat.history_size: -1; news: 5",
        "env",
        "wrong",
        "allowed: chat.history_size: integer: 0 to 100000; news: an object of options",
    ]


def test_unknown_variables_are_named_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the nearest name; they are no reason to fail."""
    monkeypatch.setenv("RELAY_PROT", "9000")
    result = invoke("config")
    assert result.exit_code == 0
    assert result.stderr == "relay: RELAY_PROT (env) is not a setting; did you mean RELAY_PORT?\n"


async def test_a_real_pipe_gets_plain_text() -> None:
    """With NO_COLOR or without."""
    outcome = await run("config", RELAY_PORT=9000)
    assert outcome.code == 0
    assert "\x1b" not in outcome.output
    assert outcome.errors == ""
    assert re.search(r"^RELAY_PORT +9000 +env ", outcome.output, re.MULTILINE)


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_a_terminal_gets_a_table(no_color: str) -> None:
    """Within its width, in colours unless NO_COLOR is set."""
    code, text = await on_terminal("config", columns=120, RELAY_WELCOME="[bold]x[/bold]", NO_COLOR=no_color)
    assert code == 0
    assert ("\x1b[36m" in text) is (no_color == "")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "RELAY_PUBLISH_BUFFER_BYTES" in plain
    assert "[bold]x[/bold]" in plain
    assert "Keepalive" in plain
    assert max(map(len, plain.splitlines())) <= 120


def test_all_is_shown_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The wrong settings are marked, with what is allowed, and the exit code is 2."""
    (tmp_path / ".env").write_text("RELAY_MAX_HEADERS=50\nRELAY_WELCOME='never ended\n")
    monkeypatch.setenv("RELAY_BROKER_URL", "redis://ann:hunter2@h:port")
    monkeypatch.setenv("RELAY_PING_INTERVAL", "5")
    result = invoke("config", "--port", "many")
    assert result.exit_code == 2
    rows = {line.split()[0]: re.split("  +", line) for line in result.stdout.splitlines()[1:]}
    assert list(rows) == [about.variable for about in describe(Settings)]
    assert rows["RELAY_PORT"][1:] == ["'many'", "flag", "wrong", "allowed: integer: 0 to 65535"]
    assert rows["RELAY_BROKER_URL"][1:4] == ["'redis://ann:***@h:port'", "env", "wrong"]
    assert rows["RELAY_PING_TIMEOUT"][3:] == [
        "wrong", "allowed: seconds: 0.1 to 3600 (at most RELAY_PING_INTERVAL, which is 5)"
    ]  # fmt: skip
    assert rows["RELAY_WELCOME"][3] == "wrong"
    assert rows["RELAY_MAX_HEADERS"][1:3] == ["50", ".env"]
    assert rows["RELAY_PING_INTERVAL"][1:3] == ["5", "env"]
    assert "relay: 4 settings are wrong" in result.stderr
    assert "hunter2" not in result.output


def test_json_marks_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """For scripts."""
    monkeypatch.setenv("RELAY_PORT", "many")
    result = invoke("config", "--json")
    assert result.exit_code == 2
    entries = {entry["variable"]: entry for entry in json.loads(result.stdout)}
    assert entries["RELAY_PORT"]["value"] is None
    assert entries["RELAY_PORT"]["wrong"] == {"given": "'many'", "allowed": "integer: 0 to 65535"}
    assert [name for name, entry in entries.items() if "wrong" in entry] == ["RELAY_PORT"]


def test_an_env_file_that_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    """The rest is shown without it."""
    (tmp_path / ".env").write_bytes(b"RELAY_WELCOME=\xff\n")
    result = invoke("config", "--port", "9000")
    assert result.exit_code == 2
    assert "  .env\n" in result.stderr
    assert re.search(r"^RELAY_PORT +9000 +flag ", result.stdout, re.MULTILINE)


async def test_a_terminal_shows_what_is_wrong() -> None:
    """In the table, too."""
    code, shown = await on_terminal("config", "--port", "many", columns=140)
    assert code == 2
    assert re.search(r"RELAY_PORT.*'many'.*flag.*wrong.*allowed: integer", shown)
