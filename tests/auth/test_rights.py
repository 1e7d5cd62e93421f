"""Which of several patterns decides about a channel."""

from __future__ import annotations

import tracemalloc

import pytest

from relay.auth.authenticator import Identity
from relay.auth.grant import Grant
from relay.auth.rights import COMPILED, MAX_PATTERNS, PatternRights, Right, RightsError, compile_patterns


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


@pytest.mark.parametrize(
    ("pattern", "channel"),
    [
        ("chat:*", "chat"),
        ("chat:*", "chatter:1"),
        ("chat:*", "Chat:1"),
        ("chat:*", "CHAT:1"),
        ("chat:*", "chat%3A1"),
        ("chat:*", "ch\u0430t:1"),  # a Cyrillic letter
        ("chat:*", "\uff43hat:1"),  # a full-width letter
        ("chat:*", "chat\uff1a1"),  # a full-width colon
        ("news", "news:1"),
        ("news", "new"),
        ("user:{sub}", "user:bob"),
        ("user:{sub}", "user:ann:1"),
        ("user:{sub}", "user:{sub}"),
        ("user:{sub}:*", "user:anna:1"),
        ("user:{sub}:*", "user:ann"),
    ],
)
def test_no_other_channel_fits_a_pattern(pattern: str, channel: str) -> None:
    rights = PatternRights(compile_patterns({pattern: "rw"}), "ann")
    assert not rights.may_subscribe(channel)
    assert not rights.may_publish(channel)


@pytest.mark.parametrize("user", ["*", "a*", "{sub}", "ann:*"])
def test_what_a_name_of_a_user_holds_is_no_pattern(user: str) -> None:
    rights = PatternRights(compile_patterns({"user:{sub}": "r"}), user)
    assert rights.may_subscribe(f"user:{user}")
    assert not rights.may_subscribe("user:ann")
    assert not rights.may_subscribe("user:a")


def test_a_client_without_a_name_has_no_channel_of_its_own() -> None:
    rights = PatternRights(compile_patterns({"user:{sub}": "rw", "news": "r"}), None)
    assert [name for name in ("user:", "user:None", "user:{sub}", "news") if rights.may_subscribe(name)] == ["news"]


def test_the_letters_are_rights_of_their_own() -> None:
    rights = PatternRights(compile_patterns({"a": "r", "b": "w", "c": "ph", "d": ""}), None)
    assert [name for name in "abcd" if rights.may_subscribe(name)] == ["a"]
    assert [name for name in "abcd" if rights.may_publish(name)] == ["b"]
    assert rights.allowed("c") == {Right.PRESENCE, Right.HISTORY}
    assert rights.allowed("d") == rights.allowed("e") == set()


@pytest.mark.parametrize(
    ("pattern", "letters", "rule"),
    [
        ("a*b", "r", "at the end only"),
        ("**", "r", "at the end only"),
        ("*a", "r", "at the end only"),
        ("user:{sub}*", "r", "a separator must stand between"),
        ("{sub}*", "r", "a separator must stand between"),
        ("user:{user}", "r", "braces stand in {sub} only"),
        ("a{", "r", "braces stand in {sub} only"),
        ("", "r", "1 to 255 bytes"),
        ("x" * 256, "r", "1 to 255 bytes"),
        ("a b", "r", "white space"),
        ("a\u200bb", "r", "invisible"),
        ("a", "x", "some of rwph"),
        ("a", "rr", "each once"),
        ("a", "R", "some of rwph"),
        ("a", "r,w", "some of rwph"),
    ],
)
def test_a_pattern_that_may_mean_more_than_one_thing_is_refused(pattern: str, letters: str, rule: str) -> None:
    with pytest.raises(RightsError, match="pattern") as refused:
        compile_patterns({pattern: letters})
    assert rule in str(refused.value)


def test_only_so_many_patterns_are_compared_with_each_message() -> None:
    compile_patterns({f"c{number}": "r" for number in range(MAX_PATTERNS)})
    with pytest.raises(RightsError, match="only 128 patterns"):
        compile_patterns({f"c{number}": "r" for number in range(MAX_PATTERNS + 1)})


def test_clients_with_the_same_patterns_share_them() -> None:
    """Each has a few bytes of its own."""
    assert compile_patterns({"a": "r"}, {"b": "w"}) is compile_patterns({"a": "r"}, {"b": "w"})


def test_patterns_are_compiled_again_when_they_have_left_the_cache() -> None:
    """A client keeps them as text."""
    given = {"chat:*": "rw", "user:{sub}": "r", "a=b": "w", "news": "", "é*": "ph"}
    rights = PatternRights(compile_patterns(given, {"*": "r", "user:ann": "rw"}), "ann")
    for number in range(COMPILED + 10):
        compile_patterns({f"c{number}": "r"})
        PatternRights(compile_patterns({f"c{number}": "r"}), None).allowed("a")
    assert rights.allowed("chat:1") == {Right.SUBSCRIBE, Right.PUBLISH}
    assert rights.allowed("user:ann") == {Right.SUBSCRIBE}
    assert rights.allowed("a=b") == {Right.PUBLISH}
    assert rights.allowed("news") == frozenset()
    assert rights.allowed("été") == {Right.PRESENCE, Right.HISTORY}
    assert rights.allowed("other") == {Right.SUBSCRIBE}


@pytest.mark.parametrize("own", [False, True], ids=["patterns that all share", "patterns of its own"])
def test_the_identity_of_a_client_takes_little(own: bool) -> None:
    """With its name, its end and three patterns: what a gateway keeps of it for each client, not what it remembers."""

    def channels(number: int) -> dict[str, str]:
        return {"lobby": "rw", f"user:{number:06d}" if own else "user:{sub}": "rw", "chat:*": "rw"}

    def identity(number: int) -> Identity:
        made = Grant(f"user-{number:06d}", channels(number), 1.9e9 + number).identity({"news": "r"})
        made.rights.may_subscribe("lobby")
        return made

    tracemalloc.start()
    try:
        remembered = [identity(number) for number in range(2 * COMPILED)]
        before = tracemalloc.get_traced_memory()[0]
        kept = [identity(number) for number in range(10_000, 12_000)]
        each = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()
    print(f"{each:.0f} bytes for each identity")  # noqa: T201  # shown by -s
    assert len(remembered) + len(kept) > 2000
    assert each < 400
