"""JSON that tokens and back ends give along with a client: for others, for the client itself, and for back ends."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_INFO_BYTES: Final = 4096
"""Of `info`: it is kept for each client, or for each subscription, and shown in presence."""

ABSENT: Final = msgspec.Raw()
"""Where there is none. Not None: msgspec takes `Raw | None` for null alone."""


def given_json(value: msgspec.Raw) -> bytes | None:
    """Return the JSON of a member; None: it isn't there, or null."""
    text = bytes(value)
    return None if text in (b"", b"null") else text


def is_json(text: bytes) -> bool:
    """Return whether something can be part of a JSON text."""
    try:
        text.decode()  # msgspec does not check the UTF-8 of `Raw`
        msgspec.json.decode(text, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return False
    return True
