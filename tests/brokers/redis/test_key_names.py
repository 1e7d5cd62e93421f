"""The keys of a channel are of this channel alone, and in one slot of a Redis Cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from relay.brokers.redis.presence_scripts import presence_keys
from relay.brokers.redis.scripts import hash_key, keys_of

NAMES = ["}", "}x", "}{x}", "{", "{}", "{}x", "{x}", "x{y}z", "x}", " check", "}ä"]

CHANNELS = st.one_of(st.sampled_from(NAMES), st.text("{}x:", min_size=1), st.text(min_size=1))


def keys(channel: str) -> set[bytes]:
    """Return all keys of a channel."""
    names = keys_of("relay:", channel)
    present = presence_keys("relay:", channel, "0123")
    return {names.position, names.history, names.repeat + hash_key("once"), *present}


@pytest.mark.parametrize("channel", NAMES)
def test_the_keys_of_such_a_channel_are_in_one_slot(channel: str) -> None:
    """A call with keys in several slots is refused: CROSSSLOT."""
    assert len({key_slot(key) for key in keys(channel)}) == 1


@given(CHANNELS)
def test_the_keys_of_any_channel_are_in_one_slot(channel: str) -> None:
    assert len({key_slot(key) for key in keys(channel)}) == 1


@given(CHANNELS, CHANNELS)
def test_two_channels_have_no_key_in_common(one: str, other: str) -> None:
    assert one == other or one.startswith(" }") or other.startswith(" }") or not keys(one) & keys(other)
