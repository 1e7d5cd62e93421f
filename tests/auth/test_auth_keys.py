"""Keys of clients, and rights for all, as they stand in the settings."""

from __future__ import annotations

import re

import pytest

from relay.auth.auth_keys import read_auth_key, read_rights
from relay.auth.grant import Grant

KEY = "k3y-of-the-deployment"


@pytest.mark.parametrize(
    ("text", "grant"),
    [
        (KEY, Grant(None, {"*": "rwph"})),
        (f"{KEY};user=ann", Grant("ann", {"*": "rwph"})),
        (f"{KEY} ; user=ann ; chat:*=rw;news=r", Grant("ann", {"chat:*": "rw", "news": "r"})),
        (f"{KEY};a=b=r", Grant(None, {"a=b": "r"})),
        (f"{KEY};secret:*=", Grant(None, {"secret:*": ""})),
    ],
)
def test_a_key_may_name_its_user_and_its_rights(text: str, grant: Grant) -> None:
    read = read_auth_key(text, everything=True)
    assert (read.key, read.grant) == (KEY, grant)


def test_a_key_without_rights_gives_those_of_all_where_there_are_some() -> None:
    assert read_auth_key(KEY, everything=False).grant == Grant()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("short", "has 5 characters, and needs 16 to 256"),
        ("x" * 257, "has 257 characters"),
        ("this key has spaces", "characters that no subprotocol can have"),
        ("a/slash/in/the/key=", "characters that no subprotocol can have"),
        (f"{KEY};", "part 1 behind the key that can't be used: must be user=NAME or PATTERN=rwph"),
        (f"{KEY};a=r;an0ther-key-of-mine", "part 2 behind the key that can't be used: must be user=NAME"),
        (f"{KEY};user=", "part 1 behind the key that can't be used: must have 1 to 255 bytes"),
        (f"{KEY};chat:*=x", "the rights must be some of rwph"),
        (f"{KEY};*:a=r", "at the end only"),
        (f"{KEY};an0ther-key-of-mine=x", "the rights must be some"),
        (f"{KEY};user=a;user=b", "part 2 behind the key that can't be used: is there twice"),
        (f"{KEY};a=r;a=w", "part 2 behind the key that can't be used: is there twice"),
    ],
)
def test_a_malformed_key_is_refused_without_being_repeated(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        read_auth_key(text, everything=True)
    assert text.partition(";")[0] not in str(refused.value)
    assert "an0ther-key-of-mine" not in str(refused.value)


def test_a_key_is_masked_wherever_it_is_shown() -> None:
    read = read_auth_key(KEY, everything=True)
    assert KEY not in f"{read} {read!r}"


def test_rights_for_all_are_a_list() -> None:
    assert read_rights(("chat:*=rw", "news=r", "a=b=w")) == {"chat:*": "rw", "news": "r", "a=b": "w"}


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        (("chat",), "PATTERN=LETTERS"),
        (("=r",), "must have 1 to 255 bytes"),
        (("a=r", "a=w"), "a is there twice"),
        (("a=z",), "some of rwph"),
    ],
)
def test_malformed_rights_for_all_are_refused(items: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_rights(items)
