"""Judges which payloads are JSON that can be put into other JSON as they are, on one line.

One wrong byte would break all clients of a channel, because what they get stands between the bytes of this relay.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_check: Final = msgspec.json.Decoder(msgspec.Raw).decode

_HALF: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|[c-fC-F][0-9a-fA-F]{2}(?<!\\u[dD][89abAB][0-9a-fA-F]{2}.{6}))",
    re.DOTALL,
)
"""An escaped half of a character, without the other half; where no backslash is escaped."""

_BACKSLASH: Final = rb"\\"
"""An escaped backslash."""

_STAND_IN: Final = b"\xff\xff"
"""Stands for it: no text has these bytes in UTF-8."""


def json_payload(payload: bytes) -> bytes | None:
    """Return a payload as a value within JSON, without line breaks; None: it is no JSON.

    Escaped halves of characters, which text cut in JavaScript ends with, become U+FFFD: most readers refuse them.
    """
    try:
        if not payload.isascii():
            payload.decode()  # msgspec does not check the UTF-8 of what it doesn't decode
        try:
            _check(payload)
        except msgspec.DecodeError:
            payload = without_halves(payload)
            _check(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # In JSON these stand between tokens only, of which no two can grow together: within strings they are escaped.
    return payload.translate(None, b"\r\n") if b"\n" in payload or b"\r" in payload else payload


def json_string(payload: bytes) -> bytes:
    """Return a payload as a string of JSON; what is not UTF-8 becomes U+FFFD."""
    return msgspec.json.encode(payload.decode(errors="replace"))


def without_halves(text: bytes) -> bytes:
    """Return JSON with U+FFFD for each escaped half of a character.

    Text of a client may have half a million escape sequences: nothing is called for any of them.

    Args:
        text: in UTF-8; it may be no JSON.
    """
    return _HALF.sub(rb"\\ufffd", text.replace(_BACKSLASH, _STAND_IN)).replace(_STAND_IN, _BACKSLASH)
