"""Settings of channels: what they keep and count, for all of them and by namespace."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relay.namespaces import HISTORY_BYTES, PLAIN, ChannelOptions
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from relay.settings.namespace_values import OPTIONS
from relay.settings.problem import SettingProblem, SettingsError
from tests.settings.refused import problems_of

NAMESPACES = {
    "chat": {"history_size": 100, "history_ttl": 60},
    "news": {"positions": True, "slow_consumer": "latest", "max_message_bytes": 1000, "rights": "r"},
}

CHAT = ChannelOptions(history_size=100, history_ttl=60)
NEWS = ChannelOptions(positions=True, slow_consumer="latest", max_message_bytes=1000, rights="r")

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


def settings_of(**values: Any) -> Settings:
    """Return settings of values as the environment has them."""
    return Settings(**values)


def parts_of(namespaces: object, **others: Any) -> dict[str, SettingProblem]:
    """Return the problems of namespaces that are refused, by the parts that they are about."""
    with pytest.raises(SettingsError) as refused:
        settings_of(namespaces=json.dumps(namespaces), **others)
    problems = refused.value.problems
    assert {problem.variable for problem in problems} == {"RELAY_NAMESPACES"}
    assert len({problem.part for problem in problems}) == len(problems)
    return {problem.part: problem for problem in problems}


def allowed_in_chat(option: str, options: dict[str, object], **others: Any) -> str:
    """Return what is allowed where one option of one namespace is refused."""
    (problem,) = parts_of({"chat": options}, **others).values()
    assert problem.part == f"chat.{option}"
    assert problem.given == json.dumps(options[option])
    return problem.allowed


def test_without_settings_channels_keep_and_count_nothing() -> None:
    namespaces = namespaces_of(Settings())
    assert namespaces.options("lobby") == namespaces.options("chat:1") == PLAIN
    assert not namespaces.positioned
    assert (Settings().on_gap, Settings().gap_seconds, Settings().default_rights) == ("close", 30, None)


def test_channels_without_a_namespace_have_settings_of_their_own() -> None:
    history = {"history_size": "10", "history_ttl": "60", "history_bytes": "100000", "positions": "ON"}
    protocol = {"subscriber_rights": "wh", "no_json": "String", "delta": "on", "cache": "on"}
    presence = {"presence": "on", "join_leave": "on", "force_push_join_leave": "on"}
    settings = settings_of(**history, **protocol, **presence)
    own = ChannelOptions(
        history_size=10,
        history_ttl=60,
        history_bytes=100_000,
        positions=True,
        presence=True,
        join_leave=True,
        force_push_join_leave=True,
        subscriber_rights="wh",
        no_json="string",
        delta=True,
        cache=True,
    )
    assert namespaces_of(settings).options("lobby") == own


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


@pytest.mark.parametrize(
    ("values", "variable", "reason"),
    [
        (
            {"history_ttl": "60"},
            "RELAY_HISTORY_TTL",
            "only with RELAY_HISTORY_SIZE: else the channel keeps no messages",
        ),
        (
            {"history_bytes": "100000"},
            "RELAY_HISTORY_BYTES",
            "only with RELAY_HISTORY_SIZE: else the channel keeps no messages",
        ),
        (
            {"history_size": "1", "history_bytes": "65535"},
            "RELAY_HISTORY_BYTES",
            "at least RELAY_MAX_MESSAGE_BYTES, which is 65536",
        ),
        ({"positions": "true"}, "RELAY_POSITIONS", "choice: on|off"),
        ({"presence": "true"}, "RELAY_PRESENCE", "choice: on|off"),
        ({"join_leave": "on"}, "RELAY_JOIN_LEAVE", "only with RELAY_PRESENCE: else gateways don't know who is there"),
        (
            {"presence": "on", "force_push_join_leave": "on"},
            "RELAY_FORCE_PUSH_JOIN_LEAVE",
            "only with RELAY_JOIN_LEAVE: else no client is told",
        ),
        ({"subscriber_rights": "r"}, "RELAY_SUBSCRIBER_RIGHTS", "some of wph, each once, or none"),
        ({"no_json": "base64"}, "RELAY_NO_JSON", "choice: drop|string"),
        ({"delta": "on"}, "RELAY_DELTA", "only with RELAY_HISTORY_SIZE or RELAY_POSITIONS"),
        (
            {"cache": "on", "positions": "on"},
            "RELAY_CACHE",
            "only with RELAY_HISTORY_SIZE: else the channel keeps no messages",
        ),
        ({"user_channels": "user"}, "RELAY_USER_CHANNELS", "not 'user': {sub} must stand in it"),
        ({"user_channels": "user:{sub},{sub}:{x}"}, "RELAY_USER_CHANNELS", "not '{sub}:{x}': no channel can be"),
        ({"user_channels": "user {sub}"}, "RELAY_USER_CHANNELS", "not 'user {sub}': no channel can be called so"),
        ({"user_channels": "{sub}:*"}, "RELAY_USER_CHANNELS", "not '{sub}:*': no channel can be called so"),
        ({"user_channels": ",".join(f"{n}{{sub}}" for n in range(9))}, "RELAY_USER_CHANNELS", "1 to 8"),
        ({"presence_ttl": "4"}, "RELAY_PRESENCE_TTL", "seconds: 5 to 3600"),
        ({"presence_ttl": "4000"}, "RELAY_PRESENCE_TTL", "seconds: 5 to 3600"),
        ({"on_gap": "drop"}, "RELAY_ON_GAP", "choice: close|keep"),
        ({"gap_seconds": "-1"}, "RELAY_GAP_SECONDS", "seconds: 0 to 3600"),
        ({"slow_consumer": "latest"}, "RELAY_SLOW_CONSUMER", "choice: close|drop"),
    ],
)
def test_settings_of_other_channels_must_fit_each_other(values: dict[str, Any], variable: str, reason: str) -> None:
    found = problems_of(**values)
    assert list(found) == [variable]
    assert reason in found[variable].allowed


def test_options_of_a_protocol_may_stand_in_a_namespace() -> None:
    given = {"history_size": 1, "subscriber_rights": "pw", "no_json": "string", "delta": True, "cache": True}
    options = settings_of(namespaces=json.dumps({"chat": given, "x": {"delta": True, "positions": True}})).named_options
    assert msgspec.to_builtins(options["chat"]) == given
    assert options["x"].delta


def test_personal_channels_are_a_list() -> None:
    assert settings_of(user_channels="#{sub}, user:{sub},#{sub}").user_channels == ("#{sub}", "user:{sub}")
    assert Settings().user_channels is None


def test_a_history_has_room_for_the_largest_message_by_itself() -> None:
    values: dict[str, Any] = {"send_buffer_bytes": 3 * 2**20, "max_message_bytes": 2 * 2**20, "history_size": 1}
    options = {"chat": {"history_size": 1}, "mail": {"history_size": 1, "max_message_bytes": 1000}}
    namespaces = namespaces_of(settings_of(namespaces=json.dumps(options), **values))
    sizes = [namespaces.options(channel).history_bytes for channel in ("lobby", "chat:1", "mail:1")]
    assert sizes == [2 * 2**20, 2 * 2**20, HISTORY_BYTES]


def test_rights_of_namespaces_are_rights_of_all() -> None:
    settings = settings_of(namespaces='{"news": {"rights": "r"}, "admin": {"rights": ""}}', rights="*=rw")
    assert settings.rights == {"*": "rw"}
    assert settings.default_rights == {"*": "rw", "news:*": "r", "admin:*": ""}
    assert settings_of(namespaces='{"news": {"rights": "r"}}').default_rights == {"news:*": "r"}
    assert settings_of(rights="*=rw", namespaces='{"news": {}}').default_rights == {"*": "rw"}


def test_rights_that_are_given_twice_are_refused_and_both_places_named() -> None:
    allowed = allowed_in_chat("rights", {"rights": "r"}, rights="chat:*=rw")
    assert allowed.endswith("(not together with chat:* in RELAY_RIGHTS)")


def test_there_are_not_more_patterns_than_rights_may_have() -> None:
    """The gateway would fail at its start."""
    given = json.dumps({f"n{number}": {"rights": "r"} for number in range(128)})
    assert len(settings_of(namespaces=given).default_rights or ()) == 128
    problem = problems_of(namespaces=given, rights="*=r")["RELAY_NAMESPACES"]
    assert problem.allowed.endswith("(at most 128 of them with rights, those in RELAY_RIGHTS included)")
