"""The rules for names of channels, and for the prefix of their names on the bus."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from relay.errors import ChannelError
from relay.redaction import JOINERS, escape_controls

MAX_CHANNEL_BYTES = 255

INTERNAL = " "
"""First character of the names of the relay's own channels: `check_channel` refuses such names to clients."""

EVENTS = INTERNAL + "events:"
"""Before a channel's name: the relay's own channel on which gateways hear who comes to it and who goes."""

# Joiners are parts of words (in Persian and in languages of India) and of emoji: no ASCII stands beside them there.
_JOINERS = re.compile(f"(?<=[^\x00-\x7f{JOINERS}])[{JOINERS}](?=[^\x00-\x7f{JOINERS}])")

_PREFIX = re.compile(r"[A-Za-z0-9._/-]{1,100}:")

PREFIX_RULE = "a word of letters, digits and . _ - / with a colon after it, such as relay:"

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def tells_gaps(name: str) -> bool:
    """Return whether gateways are told when messages of a channel may have been missed: not for all of their own."""
    return not name.startswith(INTERNAL) or name.startswith(EVENTS)


def check_channel(name: str) -> str:
    """Return `name` when it is legal: 1 to 255 bytes of UTF-8, no white space, no invisible characters.

    Raises:
        ChannelError: the name breaks a rule, which it holds.
    """
    if name.isascii() and name.isprintable() and " " not in name and 1 <= len(name) <= MAX_CHANNEL_BYTES:
        return name  # nearly all names: the rest takes 5 µs, a tenth of a subscription
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
    """Return whether a name has no invisible characters, so that two different names don't look alike.

    Invisible are control characters, marks that change the direction of text, characters without width, and fillers.
    The two joiners are, too, but words and emoji need them: they are allowed between two characters that aren't ASCII.
    """
    rest = _JOINERS.sub("", name)
    return escape_controls(rest) == rest


def check_prefix(prefix: str) -> str:
    """Return `prefix` when it is a legal prefix of channel names on the bus.

    Its only colon is its last character. So no channel of one deployment is a channel of another on the same Redis:
    with the prefixes `relay:` and `relay:b:`, the channel `b:lobby` of the first would be `lobby` of the second.

    Raises:
        ValueError: it breaks `PREFIX_RULE`, which is the text.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"must be {PREFIX_RULE}")
    return prefix


def channel_from_path(encoded: str) -> str:
    """Return the channel that a percent-encoded URL path names.

    Args:
        encoded: the part of the path behind `/ws/`; slashes and colons belong to the name.

    Raises:
        ChannelError: the percent-encoding is malformed, or `check_channel` refuses the name.
    """
    if "%" not in encoded:
        return check_channel(encoded)
    if _BROKEN_ESCAPE.search(encoded):
        raise ChannelError(encoded, "has a broken percent-encoding")
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise ChannelError(encoded, "must be valid UTF-8") from None
    return check_channel(name)
