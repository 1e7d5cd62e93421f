"""Names of channels."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.channel import (
    EVENTS,
    INTERNAL,
    MAX_CHANNEL_BYTES,
    channel_from_path,
    check_channel,
    check_prefix,
    tells_gaps,
)
from relay.errors import ChannelError


@pytest.mark.parametrize(
    "name",
    [
        "lobby",
        "a/b:c",
        "chat:42",
        "ü" * 127,
        "x" * 255,
        "{tag}",
        "*",
        "a?b",
        "日本",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "👩\u200d💻",
        "❤️\u200d🔥",
    ],
)
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
        ("a\u2028b", "white space"),
        ("lob\u200bby", "invisible"),
        ("lobby\ufeff", "invisible"),
        ("\u202elobby", "turn text around"),
        ("\u2067lobby\u2069", "turn text around"),
        ("lob\u00adby", "invisible"),
        ("lobby\u200d", "invisible"),
        ("lob\u200dby", "invisible"),
        ("\u200c\u0645", "invisible"),
        ("\u0645\u200c\u200c\u0645", "invisible"),
        ("\U0001f3f4\U000e0067\U000e007f", "invisible"),
        ("\u3164", "invisible"),
        ("a\x00", "control characters"),
        ("a\r\nPUBLISH", "white space"),
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
        hidden = {letter for letter in accepted if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        assert hidden <= {"\u200c", "\u200d"}


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


PREFIXES = st.from_regex(r"[a-c:/-]{0,4}:?", fullmatch=True)


@given(PREFIXES, PREFIXES, st.text("abc:/-", min_size=1, max_size=6), st.text("abc:/-", min_size=1, max_size=6))
def test_no_channel_of_one_deployment_is_a_channel_of_another(one: str, two: str, channel: str, other: str) -> None:
    """Whatever two legal prefixes share a Redis."""
    try:
        check_prefix(one)
        check_prefix(two)
    except ValueError:
        return
    assert one == two or one + channel != two + other


@pytest.mark.parametrize("prefix", ["relay:", "test-0:", "a.b/c_D-9:", "x" * 100 + ":"])
def test_legal_prefixes(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize(
    "prefix", ["", ":", "relay", "relay:b:", "relay::", "a b:", "\u00e9:", "relay:\n", "x" * 101 + ":"]
)
def test_prefixes_that_could_lie_inside_each_other_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="with a colon after it"):
        check_prefix(prefix)


@pytest.mark.parametrize(
    ("name", "tells"), [("lobby", True), (f"{EVENTS}lobby", True), (" control", False), (f"{INTERNAL}probe", False)]
)
def test_gaps_are_told_of_what_clients_hear(name: str, tells: bool) -> None:
    assert tells_gaps(name) == tells
