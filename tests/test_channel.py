"""Names of channels."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.channel import MAX_CHANNEL_BYTES, channel_from_path, check_channel
from relay.errors import ChannelError


@pytest.mark.parametrize("name", ["lobby", "a/b:c", "chat:42", "ü" * 127, "x" * 255, "{tag}", "*", "a?b", "日本"])
def test_legal_names_are_returned_as_they_are(name: str) -> None:
    assert check_channel(name) == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "1 to 255 bytes"),
        ("x" * 256, "has 256"),
        ("ü" * 128, "has 256"),
        ("a b", "white space"),
        ("a\tb", "white space"),
        ("a\u2003b", "white space"),
        ("a\x00", "control characters"),
        ("a\r\nPUBLISH", "control characters"),
        ("\x7f", "control characters"),
        ("\udc80", "valid UTF-8"),
    ],
)
def test_illegal_names_are_refused_with_the_rule(name: str, rule: str) -> None:
    with pytest.raises(ChannelError, match=rule) as caught:
        check_channel(name)
    assert caught.value.name == name


@given(st.text(max_size=300))
def test_every_text_is_accepted_or_refused_with_a_channel_error(name: str) -> None:
    with suppress(ChannelError):
        accepted = check_channel(name)
        assert 1 <= len(accepted.encode()) <= MAX_CHANNEL_BYTES
        assert not any(character.isspace() for character in accepted)


@given(st.text(min_size=1, max_size=50))
def test_percent_encoding_is_undone(name: str) -> None:
    try:
        check_channel(name)
    except ChannelError:
        with pytest.raises(ChannelError):
            channel_from_path(quote(name.encode("utf-8", "surrogatepass")))
    else:
        assert channel_from_path(quote(name)) == name


@pytest.mark.parametrize("encoded", ["%zz", "a%2", "%", "%ff", "%c3", "a%20b", "a%0d%0ab", "%00"])
def test_broken_encodings_and_what_they_hide_are_refused(encoded: str) -> None:
    with pytest.raises(ChannelError):
        channel_from_path(encoded)
