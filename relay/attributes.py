"""What a message may carry beside its payload: its publisher's info, and a back end's tags.

Both travel as JSON objects, each on one line: protocols put them into what their clients get, and some of those end
a message with a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from relay.errors import RelayError

MAX_TAGS_BYTES: Final = 4096
"""Of all tags of a message, as JSON without spaces."""

MAX_PUBLISHER_BYTES: Final = 10 * 1024
"""Of a publisher's info, as JSON: the longest user, and two times what may be shown of a client (4,096 bytes)."""


class AttributesError(RelayError, ValueError):
    """What a message can't carry.

    Args:
        name: of the attribute, as the publisher knows it.
        rule: that it breaks; a sentence without its subject.
    """

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(name, rule)
        self.name = name
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.name}: {self.rule}"


class PublisherInfo(msgspec.Struct, frozen=True, gc=False):
    """What receivers are told of the client that published a message; its id is the message's origin.

    Args:
        user: its user; empty: it has none.
        conn_info: JSON that was given for its connection; UNSET: none.
        chan_info: JSON that was given for its subscription to the channel; UNSET: none.
    """

    user: str
    conn_info: Raw | UnsetType = UNSET
    chan_info: Raw | UnsetType = UNSET


_publisher: Final = msgspec.json.Decoder(PublisherInfo)
_tags: Final = msgspec.json.Decoder(dict[str, str])


def encode_publisher(user: str | None, conn_info: bytes | None = None, chan_info: bytes | None = None) -> bytes:
    """Return a publisher's info as a message carries it.

    Args:
        user: its user; None: it has none.
        conn_info, chan_info: JSON in UTF-8; None: none.

    Raises:
        AttributesError: it is longer than `MAX_PUBLISHER_BYTES`.
    """
    encoded = msgspec.json.encode(PublisherInfo(user or "", _raw(conn_info), _raw(chan_info)))
    if b"\n" in encoded or b"\r" in encoded:  # between the words of an info that was laid out for reading
        encoded = msgspec.json.format(encoded, indent=-1)
    if len(encoded) > MAX_PUBLISHER_BYTES:
        raise AttributesError("publisher", f"must have at most {MAX_PUBLISHER_BYTES} bytes, has {len(encoded)}")
    return encoded


def encode_tags(tags: Mapping[str, str] | None) -> bytes:
    """Return tags as a message carries them; empty for none.

    Args:
        tags: by name, each a string; None or empty: none.

    Raises:
        AttributesError: a name or a tag is no string that UTF-8 has bytes for, or all have more than `MAX_TAGS_BYTES`.
    """
    if not tags:
        return b""
    if not all(isinstance(name, str) and isinstance(tag, str) for name, tag in tags.items()):
        raise AttributesError("tags", "must be strings, each with a string for its name")
    try:
        encoded = msgspec.json.encode(dict(tags))
    except UnicodeEncodeError:
        raise AttributesError("tags", "must be strings that can be written in UTF-8") from None
    if len(encoded) > MAX_TAGS_BYTES:
        raise AttributesError("tags", f"must have at most {MAX_TAGS_BYTES} bytes as JSON, have {len(encoded)}")
    return encoded


def read_publisher(value: bytes) -> PublisherInfo | None:
    """Return the publisher's info that a message carries; None: these bytes are none."""
    info = _read(_publisher, value)
    return info if isinstance(info, PublisherInfo) else None


def read_tags(value: bytes) -> dict[str, str] | None:
    """Return the tags that a message carries; None: these bytes are none."""
    tags = _read(_tags, value)
    return tags if isinstance(tags, dict) else None


def _read(decoder: msgspec.json.Decoder[PublisherInfo] | msgspec.json.Decoder[dict[str, str]], value: bytes) -> object:
    if b"\n" in value or b"\r" in value:
        return None
    try:
        value.decode()  # msgspec does not check the UTF-8 of `Raw`
        return decoder.decode(value)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None


def _raw(info: bytes | None) -> Raw | UnsetType:
    return UNSET if info is None else Raw(info)
