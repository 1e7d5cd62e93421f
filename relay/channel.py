"""What a channel may be called, and what stands before its name on the bus."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from relay.errors import ChannelError
from relay.redaction import JOINERS, escape_controls

MAX_CHANNEL_BYTES = 255

INTERNAL = " "
"""What the channels of the relay itself begin with: `check_channel` lets no client have such a name."""

# Parts of words (Persian, the languages of India) and of emoji, which have no ASCII on either side of them.
_JOINERS = re.compile(f"(?<=[^\x00-\x7f{JOINERS}])[{JOINERS}](?=[^\x00-\x7f{JOINERS}])")

_PREFIX = re.compile(r"[A-Za-z0-9._/-]{1,100}:")

PREFIX_RULE = "a word of letters, digits and . _ - / with a colon behind it, such as relay:"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_channel(name: str) -> str:
    """Return `name` when it is a legal channel: 1 to 255 bytes of UTF-8, all of it visible, no white space.

    Raises:
        ChannelError: says which rule was broken.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ChannelError(name, "must be valid UTF-8") from None
    if not 1 <= size <= MAX_CHANNEL_BYTES:
        raise ChannelError(name, f"must have 1 to {MAX_CHANNEL_BYTES} bytes of UTF-8, has {size}")
    if any(character.isspace() for character in name):
        raise ChannelError(name, "must not contain white space")
    if not is_visible(name):
        raise ChannelError(
            name, "must not contain control characters, or others that are invisible or turn text around"
        )
    return name


def is_visible(name: str) -> bool:
    """Return whether everything in a name can be seen, so that no two names look alike for what is hidden in them.

    Controls, marks that turn text around, characters without width and fillers can't be. The two joiners can't either,
    but words and emoji need them: they may stand between two characters that aren't ASCII.
    """
    rest = _JOINERS.sub("", name)
    return escape_controls(rest) == rest


def check_prefix(prefix: str) -> str:
    """Return `prefix` when channels of the bus may begin with it.

    Its only colon is its end. So no channel of one deployment is a channel of another on the same Redis: with `relay:`
    and `relay:b:`, a client of the first could name the channel `b:lobby`, which is the second's `lobby`.

    Raises:
        ValueError: with the rule.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"must be {PREFIX_RULE}")
    return prefix


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
