"""Namespaces: which options a channel has."""

from __future__ import annotations

import msgspec
import pytest

from relay.channel import INTERNAL, check_channel
from relay.namespaces import CACHED_CHANNELS, NO_NAMESPACES, PLAIN, ChannelOptions, Namespaces, is_namespace

CHAT = ChannelOptions(history_size=100)
NEWS = ChannelOptions(positions=True)
OTHERS = ChannelOptions(slow_consumer="drop")


@pytest.mark.parametrize(
    ("channel", "options"),
    [
        ("chat:1", CHAT),
        ("chat:", CHAT),
        ("chat:staff:1", CHAT),
        ("chat:news:1", CHAT),
        ("news:1", NEWS),
        ("chat", OTHERS),
        ("Chat:1", OTHERS),
        ("chatter:1", OTHERS),
        (":chat:1", OTHERS),
        ("unknown:1", OTHERS),
        ("lobby", OTHERS),
    ],
)
def test_the_part_before_the_first_colon_decides(channel: str, options: ChannelOptions) -> None:
    namespaces = Namespaces(OTHERS, {"chat": CHAT, "news": NEWS})
    assert namespaces.options(channel) is options
    assert namespaces.options(channel) is options  # as it is remembered


def test_the_channels_of_the_relay_itself_keep_and_count_nothing() -> None:
    namespaces = Namespaces(CHAT, {f"{INTERNAL}control": CHAT})
    assert namespaces.options(f"{INTERNAL}control") is PLAIN
    assert namespaces.options(f"{INTERNAL}control:1") is PLAIN


def test_clients_can_not_fill_the_memory_with_names() -> None:
    namespaces = Namespaces(OTHERS)
    for number in range(CACHED_CHANNELS + 10):
        namespaces.options(f"chat:{number}")
    assert namespaces.options.cache_info().currsize == CACHED_CHANNELS


def test_what_any_channel_has_is_known_at_once() -> None:
    """So that a relay without namespaces doesn't ask for each message."""
    assert not NO_NAMESPACES.positioned
    assert not NO_NAMESPACES.sized
    assert not NO_NAMESPACES.present
    assert Namespaces(OTHERS, {"a": ChannelOptions(presence=True)}).present
    assert Namespaces(named={"a": PLAIN, "chat": CHAT}).positioned
    assert Namespaces(NEWS).positioned
    assert not Namespaces(OTHERS, {"a": PLAIN}).positioned
    assert Namespaces(OTHERS, {"a": ChannelOptions(max_message_bytes=1)}).sized


def test_where_there_is_a_history_a_slow_client_is_closed() -> None:
    """It comes back and misses nothing."""
    assert [options.slow_policy("drop") for options in (PLAIN, NEWS, CHAT)] == ["drop", "drop", "close"]
    assert ChannelOptions(slow_consumer="latest").slow_policy("close") == "latest"
    assert ChannelOptions(slow_consumer="latest", history_size=1).slow_policy("drop") == "close"


def test_a_history_has_positions() -> None:
    assert (PLAIN.positioned, NEWS.positioned, CHAT.positioned) == (False, True, True)


def test_options_are_written_as_they_were_given() -> None:
    assert msgspec.json.encode(CHAT) == b'{"history_size":100}'
    assert msgspec.json.decode(b'{"history_size":100}', type=ChannelOptions) == CHAT


@pytest.mark.parametrize("name", ["chat", "Chat-2_b", "0", "-", "_", "x" * 100])
def test_names_of_namespaces_are_beginnings_of_legal_channels(name: str) -> None:
    assert is_namespace(name)
    check_channel(f"{name}:1")


@pytest.mark.parametrize("name", ["", "x" * 101, "a b", "a:b", "a.b", "chat\n", "ä", "*", "{sub}", " control"])
def test_other_names_are_refused(name: str) -> None:
    assert not is_namespace(name)
