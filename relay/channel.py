"""What a channel may be called."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from relay.errors import ChannelError

MAX_CHANNEL_BYTES = 255

INTERNAL = " "
"""What the channels of the relay itself begin with: `check_channel` lets no client have such a name."""

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_channel(name: str) -> str:
    """Return `name` when it is a legal channel: 1 to 255 bytes of UTF-8, no control characters, no white space.

    Raises:
        ChannelError: says which rule was broken.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ChannelError(name, "must be valid UTF-8") from None
    if not 1 <= size <= MAX_CHANNEL_BYTES:
        raise ChannelError(name, f"must have 1 to {MAX_CHANNEL_BYTES} bytes of UTF-8, has {size}")
    for character in name:
        if character.isspace() or unicodedata.category(character) == "Cc":
            raise ChannelError(name, "must not contain control characters or white space")
    return name


def channel_from_path(encoded: str) -> str:
    """Return the channel that a percent-encoded URL path names.

    Args:
        encoded: the part of the path after `/ws/`; slashes and colons belong to the name.

    Raises:
        ChannelError: the encoding is broken or `check_channel` refuses the name.
    """
    if _BROKEN_ESCAPE.search(encoded):
        raise ChannelError(encoded, "has a broken percent-encoding")
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise ChannelError(encoded, "must be valid UTF-8") from None
    return check_channel(name)
