"""What a message may carry beside its payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
import pytest

from relay.attributes import (
    MAX_PUBLISHER_BYTES,
    MAX_TAGS_BYTES,
    AttributesError,
    PublisherInfo,
    encode_publisher,
    encode_tags,
    read_publisher,
    read_tags,
)
from relay.auth.given_json import MAX_INFO_BYTES


def test_a_publisher_is_read_as_it_was_written() -> None:
    assert encode_publisher("anna") == b'{"user":"anna"}'
    assert encode_publisher(None) == b'{"user":""}'
    written = encode_publisher("anna", b'{"name":"Anna"}', b"[1]")
    assert written == b'{"user":"anna","conn_info":{"name":"Anna"},"chan_info":[1]}'
    assert read_publisher(written) == PublisherInfo("anna", msgspec.Raw(b'{"name":"Anna"}'), msgspec.Raw(b"[1]"))


def test_info_that_is_laid_out_in_lines_goes_on_one() -> None:
    """Some protocols end a message with a line."""
    written = encode_publisher("anna", b'{\r\n "name": "An na"\n}')
    assert written == b'{"user":"anna","conn_info":{"name":"An na"}}'
    assert read_publisher(written) is not None


def test_the_longest_publisher_has_room() -> None:
    """Its user is 255 bytes, each of which JSON may need six letters for; both infos are as long as they may be."""
    info = b'"' + b"x" * (MAX_INFO_BYTES - 2) + b'"'
    written = encode_publisher("\x01" * 255, info, info)
    assert len(written) <= MAX_PUBLISHER_BYTES
    with pytest.raises(AttributesError, match="publisher: must have at most 10240 bytes, has 10241"):
        encode_publisher("u" * (MAX_PUBLISHER_BYTES + 1 - len('{"user":""}')))


def test_tags_are_read_as_they_were_written() -> None:
    assert encode_tags(None) == encode_tags({}) == b""
    written = encode_tags({"kind": "note", "two\nlines": "\u00e9\n"})
    assert b"\n" not in written
    assert read_tags(written) == {"kind": "note", "two\nlines": "\u00e9\n"}


@pytest.mark.parametrize("tags", [{"k": 1}, {1: "v"}, {"k": None}, {"k": {"n": "v"}}, {"k": b"v"}])
def test_tags_are_strings(tags: dict[Any, Any]) -> None:
    with pytest.raises(AttributesError, match=r"^tags: must be strings, each with a string for its name$"):
        encode_tags(cast(Mapping[str, str], tags))


def test_tags_can_be_written() -> None:
    with pytest.raises(AttributesError, match=r"^tags: must be strings that can be written in UTF-8$"):
        encode_tags({"k": "\ud800"})


def test_tags_are_bounded() -> None:
    encode_tags({"k": "x" * (MAX_TAGS_BYTES - 8)})
    with pytest.raises(AttributesError, match=r"^tags: must have at most 4096 bytes as JSON, have 4097$"):
        encode_tags({"k": "x" * (MAX_TAGS_BYTES - 7)})


@pytest.mark.parametrize("value", [b"", b"{}", b'{"user":\n"u"}', b'{"user":"\xff"}', b"[" * 10_000])
def test_what_is_no_publisher_is_none(value: bytes) -> None:
    assert read_publisher(value) is None


@pytest.mark.parametrize("value", [b"", b"[]", b'{"k":\r"v"}', b'{"k":1}', b'{"k":"\xff"}'])
def test_what_are_no_tags_are_none(value: bytes) -> None:
    assert read_tags(value) is None
