"""Which of several patterns decides about a channel."""

from __future__ import annotations

import pytest

from relay.auth.rights import Right, compile_patterns


@pytest.mark.parametrize(
    ("given", "defaults", "channel", "decides"),
    [
        ({"chat:*": "r"}, {}, "chat:1", "chat:*"),
        ({"chat:*": "r"}, {}, "chat", None),
        ({"chat:*": "r", "chat:a*": "w"}, {}, "chat:ab", "chat:a*"),
        ({"chat:*": "r", "chat:ab": "w"}, {}, "chat:ab", "chat:ab"),
        ({"*": "r"}, {"chat:*": "w"}, "chat:1", "chat:*"),
        ({"user:{sub}": "r"}, {"user:ann": "w"}, "user:ann", "user:{sub}"),
        ({"user:ann": "r"}, {"user:{sub}": "w"}, "user:ann", "user:ann"),
        ({"user:{sub}:*": "r"}, {"user:ann:*": "w"}, "user:ann:1", "user:{sub}:*"),
        ({"user:*": "r"}, {"user:{sub}": "w"}, "user:ann", "user:{sub}"),
    ],
)
def test_the_most_specific_pattern_decides_and_the_credential_before_the_settings(
    given: dict[str, str], defaults: dict[str, str], channel: str, decides: str | None
) -> None:
    patterns = compile_patterns(given, defaults)
    rule = patterns.deciding(channel, "ann")
    assert (None if rule is None else rule.pattern) == decides
    allowed = {Right(letter) for letter in {**defaults, **given}.get(decides or "", "")}
    assert patterns.allowed(channel, "ann") == allowed


def test_of_two_equal_patterns_the_credential_s_decides() -> None:
    patterns = compile_patterns({"a": "r", "b*": ""}, {"a": "w", "b*": "w"})
    assert patterns.allowed("a", None) == {Right.SUBSCRIBE}
    assert patterns.allowed("b1", None) == set()
