"""Secrets and control characters never leave as they are."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.redaction import JOINERS, cut_queries, escape_controls, mask_credentials, mask_variable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://secret@host", "redis://***@host"),
        ("redis://user:se@cr/et@host", "redis://user:***@host"),
        ("redis://user:s:e:c@host", "redis://user:***@host"),
        ("rediss://u:p@a and redis://v:q@b", "rediss://u:***@a and redis://v:***@b"),
        ("unix:///run/redis.sock?db=0&password=secret", "unix:///run/redis.sock?db=0&password=***"),
        ("wss://host/ws/lobby?token=secret&user=ann", "wss://host/ws/lobby?token=***&user=ann"),
        ("memory://", "memory://"),
        ("memory://x:y redis://u:p@h", "memory://x:y redis://u:***@h"),
        ("url='redis://u:p@h'", "url='redis://u:***@h'"),
        ("://u:p@h", "://u:p@h"),
        ("mail ann@example.org", "mail ann@example.org"),
    ],
)
def test_passwords_in_urls_are_masked(text: str, expected: str) -> None:
    """User names and everything else stay."""
    assert mask_credentials(text) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("RELAY_API_KEYS", "***"),
        ("RELAY_JWT_SECRET", "***"),
        ("relay_token", "***"),
        ("RELAY_PASSWORD_FILE", "***"),
        ("RELAY_KEYSTONE", "redis://user:***@host"),
        ("RELAY_BROKER_URL", "redis://user:***@host"),
    ],
)
def test_variables_are_masked_by_what_their_names_say(name: str, shown: str) -> None:
    assert mask_variable(name, "redis://user:secret@host") == shown


@given(st.text(st.characters(exclude_characters="\n\r\t @", exclude_categories=["Z", "C"]), min_size=1))
def test_no_part_of_a_password_survives(password: str) -> None:
    """Whatever it consists of, percent-encoded or not."""
    marked = f"Q7{password}Q7"
    assert "Q7" not in mask_credentials(f"redis://user:{marked}@host:6379/0")


@pytest.mark.parametrize("unit", ["a://", "a", "a:", "a:/", "://", "a://b:", "a@", "@a://", "?key=", "&token=a "])
def test_masking_takes_one_pass(unit: str) -> None:
    """A megabyte that looks like the beginning of URLs: a second look at each letter would take an hour."""
    text = unit * (1_000_000 // len(unit))
    assert mask_credentials(text)
    assert cut_queries(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /ws/lobby?token=abc HTTP/1.1", "GET /ws/lobby?... HTTP/1.1"),
        ('url="ws://h/ws?user=ann"', 'url="ws://h/ws?..."'),
        ("really? yes", "really? yes"),
        ("?token=abc", "?token=abc"),
        ("/a?b?c=d", "/a?..."),
    ],
)
def test_query_strings_are_cut(text: str, expected: str) -> None:
    """A question mark of a sentence is none of a URL."""
    assert cut_queries(text) == expected


def test_control_characters_become_escapes() -> None:
    """Line breaks, terminal sequences, C1, direction marks and half characters; other text stays."""
    assert escape_controls("a\nb\r\x1b[31m\x00\x9b\u2028\u202e\udcffé雪") == (
        "a\\nb\\r\\x1b[31m\\x00\\x9b\\u2028\\u202e\\udcffé雪"
    )
    assert escape_controls("a\nb\tc", keep="\n") == "a\nb\\tc"


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_every_character_of_a_category_is_escaped(category: str) -> None:
    """As this Python knows them."""
    characters = [chr(point) for point in range(sys.maxunicode + 1)]
    missed = [c for c in characters if unicodedata.category(c) == category and escape_controls(c) == c]
    assert missed == []


@pytest.mark.parametrize("character", "\u3164\uffa0\u115f\u034f\U000e0100")
def test_what_shows_nothing_is_escaped(character: str) -> None:
    """Fillers count as letters, and look like nothing at all."""
    assert escape_controls(f"ann{character}") != f"ann{character}"


def test_emoji_and_words_of_all_scripts_stay() -> None:
    """Joiners only where text is meant to be read."""
    assert escape_controls("héllo 雪 ❤\ufe0f нет مرحبا 👍🏽") == "héllo 雪 ❤\ufe0f нет مرحبا 👍🏽"
    family = "👩\u200d👧"
    assert escape_controls(family) == "👩\\u200d👧"
    assert escape_controls(family, keep=JOINERS) == family


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    """Nothing that moves the cursor or colours the terminal is left."""
    escaped = escape_controls(text)
    assert len(escaped.splitlines()) <= 1
    assert "\x1b" not in escaped
    escaped.encode()
