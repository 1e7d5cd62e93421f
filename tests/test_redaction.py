"""Secrets and control characters never leave as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.redaction import cut_queries, escape_controls, mask_credentials


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
        ("mail ann@example.org", "mail ann@example.org"),
    ],
)
def test_passwords_in_urls_are_masked(text: str, expected: str) -> None:
    """User names and everything else stay."""
    assert mask_credentials(text) == expected


@given(st.text(st.characters(exclude_characters="\n\r\t @", exclude_categories=["Z", "C"]), min_size=1))
def test_no_part_of_a_password_survives(password: str) -> None:
    """Whatever it consists of, percent-encoded or not."""
    marked = f"Q7{password}Q7"
    assert "Q7" not in mask_credentials(f"redis://user:{marked}@host:6379/0")


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


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    """Nothing that moves the cursor or colours the terminal is left."""
    escaped = escape_controls(text)
    assert len(escaped.splitlines()) <= 1
    assert "\x1b" not in escaped
    escaped.encode()
