"""Reads the Content-Type header (RFC 9110, section 8.3).

aiohttp uses the standard library's parser for mail. That takes seconds for some values of a few kilobytes, and raises
for others, and the client chooses the value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from relay.errors import Refused

UTF_8 = ("", "utf-8", "utf8", "us-ascii")
"""Names of charsets that are UTF-8, or a part of it; empty: none is named."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # the grammar's word, no secret
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?[ \t]*')


class ContentType(NamedTuple):
    """A parsed Content-Type, in lower case.

    Args:
        media_type: such as `text/plain`.
        charset: such as `utf-8`; empty: none is named.
    """

    media_type: str
    charset: str


def read_content_type(value: str | None) -> ContentType:
    """Read a Content-Type.

    Args:
        value: of the header; None: there is none, and the body is `application/octet-stream`.

    Raises:
        Refused: with 415; the value is malformed.
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
