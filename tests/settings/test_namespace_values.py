"""Namespaces in the environment, in files and in programs, and what is wrong with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from relay.namespaces import PLAIN, ChannelOptions
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from relay.settings.namespace_values import OPTIONS
from relay.settings.problem import SettingsError
from tests.settings.namespace_settings import CHAT, NAMESPACES, NEWS, allowed_in_chat, settings_of
from tests.settings.refused import problems_of

ONLY_CLOSE = "with history_size only close: a closed client comes back, and misses nothing"

ONLY_WITH_POSITIONS = "only with history_size or positions: else a client may lack the previous message"

TOML = """
[chat]
history_size = 100
history_ttl = 60

[news]
positions = true
slow_consumer = "latest"
max_message_bytes = 1000
rights = "r"
"""


def test_namespaces_are_a_json_object_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_NAMESPACES", json.dumps(NAMESPACES))
    namespaces = namespaces_of(Settings())
    assert namespaces.options("chat:1") == CHAT
    assert namespaces.options("news:1") == NEWS
    assert namespaces.options("lobby") == PLAIN


def test_namespaces_may_stand_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"RELAY_NAMESPACES={json.dumps(NAMESPACES)}\n")
    assert Settings().named_options == {"chat": CHAT, "news": NEWS}


@pytest.mark.parametrize(("name", "text"), [("n.json", json.dumps(NAMESPACES)), ("n.TOML", TOML)])
def test_namespaces_may_stand_in_a_file(tmp_path: Path, name: str, text: str) -> None:
    """It is read once: workers, and whoever asks later, get what was checked."""
    file = tmp_path / name
    file.write_text(text)
    settings = settings_of(namespaces_file=str(file))
    file.unlink()
    for known in (settings, pickle.loads(pickle.dumps(settings))):
        assert known.named_options == {"chat": CHAT, "news": NEWS}
        assert namespaces_of(known).options("chat:1") == CHAT


def test_a_program_may_give_options() -> None:
    assert Settings(namespaces={"chat": CHAT}).named_options == {"chat": CHAT}
    problem = problems_of(namespaces={"chat": ChannelOptions(history_ttl=60)})["RELAY_NAMESPACES"]
    assert problem.part == "chat.history_ttl"


def test_every_option_can_be_said() -> None:
    assert tuple(OPTIONS) == ChannelOptions.__struct_fields__


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Also beside problems of other settings; what is right by itself isn't blamed for what isn't."""
    given = {
        "chat": {"history_size": -1, "history_ttl": 60, "histroy_bytes": 5, "slow_consumer": "lates"},
        "a b": {"positions": 1},
        "news": ["positions"],
        "mail": {"history_ttl": 60, "rights": "rx", "presents": True},
    }
    with pytest.raises(SettingsError) as refused:
        settings_of(namespaces=json.dumps(given), port="many")
    names = ", ".join(OPTIONS)
    assert [str(problem) for problem in refused.value.problems] == [
        "RELAY_PORT: got 'many'; allowed: integer: 0 to 65535",
        "RELAY_NAMESPACES: chat.history_size: got -1; allowed: integer: 0 to 100000",
        f"RELAY_NAMESPACES: chat.histroy_bytes: got 5; allowed: one of {names} (did you mean history_bytes?)",
        'RELAY_NAMESPACES: chat.slow_consumer: got "lates"; allowed: choice: close|drop|latest',
        "RELAY_NAMESPACES: a b: got this name; allowed: 1 to 100 of A to Z, a to z, 0 to 9, - and _",
        "RELAY_NAMESPACES: a b.positions: got 1; allowed: choice: true|false",
        'RELAY_NAMESPACES: news: got ["positions"]; allowed: an object of options',
        'RELAY_NAMESPACES: mail.rights: got "rx"; allowed: rights: some of rwph, each once, or none',
        f"RELAY_NAMESPACES: mail.presents: got true; allowed: one of {names} (did you mean presence?)",
        "RELAY_NAMESPACES: mail.history_ttl: got 60; allowed: seconds: 1 to 604800 "
        "(only with history_size: else the channel keeps no messages)",
    ]


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("history_size", "100", "integer: 0 to 100000"),
        ("history_size", 1.5, "integer: 0 to 100000"),
        ("history_size", True, "integer: 0 to 100000"),
        ("history_size", None, "integer: 0 to 100000"),
        ("history_size", 100_001, "integer: 0 to 100000"),
        ("history_ttl", 0.5, "seconds: 1 to 604800"),
        ("history_bytes", 2**31, "bytes: 1 to 1073741824"),
        ("positions", "on", "choice: true|false"),
        ("presence", "on", "choice: true|false"),
        ("join_leave", 1, "choice: true|false"),
        ("force_push_join_leave", "on", "choice: true|false"),
        ("slow_consumer", "DROP", "choice: close|drop|latest"),
        ("max_message_bytes", 0, "bytes: 1 to 67108864"),
        ("rights", "rr", "rights: some of rwph, each once, or none"),
        ("rights", ["r"], "rights: some of rwph, each once, or none"),
        ("subscriber_rights", "rw", "rights: some of wph, each once, or none"),
        ("subscriber_rights", "ww", "rights: some of wph, each once, or none"),
        ("subscriber_rights", None, "rights: some of wph, each once, or none"),
        ("no_json", "Drop", "choice: drop|string"),
        ("delta", "fossil", "choice: true|false"),
        ("cache", 1, "choice: true|false"),
    ],
)
def test_values_have_their_types_and_ranges(option: str, value: object, allowed: str) -> None:
    assert allowed_in_chat(option, {option: value}) == allowed


@pytest.mark.parametrize(
    ("option", "options", "reason"),
    [
        ("history_ttl", {"history_ttl": 60}, "only with history_size: else the channel keeps no messages"),
        (
            "history_ttl",
            {"history_ttl": 60, "history_size": 0},
            "only with history_size: else the channel keeps no messages",
        ),
        ("history_bytes", {"history_bytes": 10**6}, "only with history_size: else the channel keeps no messages"),
        ("slow_consumer", {"slow_consumer": "drop", "history_size": 1}, ONLY_CLOSE),
        ("slow_consumer", {"slow_consumer": "latest", "history_size": 1}, ONLY_CLOSE),
        ("join_leave", {"join_leave": True}, "only with presence: else gateways don't know who is there"),
        (
            "join_leave",
            {"join_leave": True, "presence": False},
            "only with presence: else gateways don't know who is there",
        ),
        (
            "force_push_join_leave",
            {"force_push_join_leave": True, "presence": True},
            "only with join_leave: else no client is told",
        ),
        ("cache", {"cache": True, "positions": True}, "only with history_size: else the channel keeps no messages"),
        ("delta", {"delta": True}, ONLY_WITH_POSITIONS),
        ("delta", {"delta": True, "history_size": 0, "positions": False}, ONLY_WITH_POSITIONS),
        ("max_message_bytes", {"max_message_bytes": 70_000}, "at most RELAY_MAX_MESSAGE_BYTES, which is 65536"),
        (
            "history_bytes",
            {"history_bytes": 65_535, "history_size": 1},
            "at least RELAY_MAX_MESSAGE_BYTES, which is 65536",
        ),
        (
            "history_bytes",
            {"history_bytes": 999, "history_size": 1, "max_message_bytes": 1000},
            "at least max_message_bytes, which is 1000",
        ),
    ],
)
def test_options_must_fit_each_other(option: str, options: dict[str, object], reason: str) -> None:
    assert f"({reason})" in allowed_in_chat(option, options)


def test_a_channel_with_a_history_may_say_that_slow_clients_are_closed() -> None:
    for options in ({"slow_consumer": "close", "history_size": 1}, {"slow_consumer": "latest", "history_size": 0}):
        assert settings_of(namespaces=json.dumps({"chat": options})).named_options["chat"].slow_consumer


def test_a_wrong_setting_is_not_blamed_on_a_namespace() -> None:
    """A check over two settings needs both to be right on their own."""
    options = {"chat": {"history_size": 1, "history_bytes": 1, "max_message_bytes": 70_000}}
    found = problems_of(namespaces=json.dumps(options), max_message_bytes="many")
    assert set(found) == {"RELAY_MAX_MESSAGE_BYTES", "RELAY_NAMESPACES"}
    assert found["RELAY_NAMESPACES"].allowed.endswith("(at least max_message_bytes, which is 70000)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "this can't be read: Expecting property name"),
        ("[]", "it is not an object"),
        ("null", "it is not an object"),
        ("chat", "this can't be read"),
        ('{"chat": {}, "chat": {}}', "'chat' is there twice"),
        ('{"chat": {"history_size": 1, "history_size": 2}}', "'history_size' is there twice"),
        ('{"chat": {"history_ttl": NaN}}', "NaN is not a number"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_text_that_is_no_object_is_refused(text: str, reason: str) -> None:
    problem = problems_of(namespaces=text)["RELAY_NAMESPACES"]
    assert problem.allowed.startswith("JSON: an object of namespaces")
    assert reason in problem.allowed
    assert len(problem.given) < 130


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("n.yaml", b"{}", "the name of this file ends in neither"),
        ("n.json", None, "this one can't be read: No such file"),
        ("n.json", b'{"chat": "\xff"}', "this one is not UTF-8"),
        ("n.json", b"{", "this can't be read"),
        ("n.toml", b"[chat", "this one can't be read"),
        ("n.toml", b"[chat]\n[chat]", "this one can't be read"),
        ("n.json", b"[]", "it is not an object"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    problem = problems_of(namespaces_file=str(file))["RELAY_NAMESPACES_FILE"]
    assert str(file)[:50] in problem.given
    assert reason in problem.allowed


def test_problems_in_a_file_name_its_parts(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text("[chat]\nhistory_ttl = 2020-01-01\nhistory_size = inf\n")
    with pytest.raises(SettingsError) as refused:
        settings_of(namespaces_file=str(file))
    assert [str(problem) for problem in refused.value.problems] == [
        'RELAY_NAMESPACES_FILE: chat.history_ttl: got "2020-01-01"; allowed: seconds: 1 to 604800',
        "RELAY_NAMESPACES_FILE: chat.history_size: got Infinity; allowed: integer: 0 to 100000",
    ]


def test_namespaces_stand_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "n.json"
    file.write_text("{}")
    problem = problems_of(namespaces="{}", namespaces_file=str(file))["RELAY_NAMESPACES_FILE"]
    assert problem.allowed.endswith("(not together with RELAY_NAMESPACES)")
