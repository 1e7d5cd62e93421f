"""What a body is, by its Content-Type (RFC 9110, section 8.3).

Not as aiohttp reads it: by the standard library's parser for mail, which takes seconds for some values of a few
kilobytes, and raises for others. Strangers choose the value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from relay.errors import Refused

UTF_8 = ("", "utf-8", "utf8", "us-ascii")
"""Charsets of text in UTF-8."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?[ \t]*')


class ContentType(NamedTuple):
    """A Content-Type, in lower case.

    Args:
        media_type: such as `text/plain`.
        charset: empty when there is none.
    """

    media_type: str
    charset: str


def read_content_type(value: str | None) -> ContentType:
    """Read a Content-Type.

    Args:
        value: of the header; None when there is none: bytes of whatever kind.

    Raises:
        Refused: with 415; it is malformed.
    """
    text = "application/octet-stream" if value is None else value
    found = _TYPE.match(text)
    if found is None:
        raise _malformed()
    media_type, charset = found[1].lower(), ""
    while found.end() < len(text):
        found = _PARAMETER.match(text, found.end())
        if found is None:
            raise _malformed()
        if found[1] is not None and found[1].lower() == "charset":
            charset = found[2].strip('"').lower()
    return ContentType(media_type, charset)


def _malformed() -> Refused:
    return Refused(415, "Content-Type is malformed; it should be like text/plain; charset=utf-8")
