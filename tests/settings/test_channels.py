"""Settings of channels: what they keep and count, for all of them and by namespace."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from relay.namespaces import HISTORY_BYTES, PLAIN, ChannelOptions
from relay.settings import Settings
from relay.settings.channels import namespaces_of
from tests.settings.namespace_settings import allowed_in_chat, settings_of
from tests.settings.refused import problems_of


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
