"""Masks passwords and query strings, and escapes control characters, wherever text is shown or logged."""

from __future__ import annotations

import re
from typing import Final

MASK = "***"

# Words first, so that one pass is enough: a pattern for whole URLs would try each letter as the start of a scheme.
_WORD = re.compile(r"\S+")
_SCHEME = re.compile(r"(?<=[A-Za-z0-9+.-])://")
_USER = re.compile(r"[^:@/]*(?=:)")
_SECRET_PARAMETER = re.compile(r"(?i)([?&](?:password|token|secret|key)=)[^&\s]*")
_SECRET_VARIABLE = re.compile(r"(?i)(?:PASSWORD|TOKEN|SECRET|KEYS?)(?:_|\Z)")
_QUERY = re.compile(r"(?<=[^\s?])\?[^\s\"'<>]+")
# The Unicode categories Cc, Cf, Cs, Zl and Zp: control characters, characters that are invisible or reverse the
# direction of text, surrogates, and line breaks. Of the other categories those that show nothing: fillers, and the
# variation selectors beyond those that emoji need.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

JOINERS: Final = "\u200c\u200d"
"""Zero-width non-joiner and joiner: invisible, but parts of words and of emoji, so text for people keeps them."""


def mask_credentials(text: str) -> str:
    """Return `text` with the passwords in its URLs, and secret parameters of queries, replaced by `***`.

    A user name without a password is masked, too: in a Redis URL it is nearly always a misplaced password.
    """
    if "://" in text and "@" in text:
        text = _WORD.sub(lambda match: _mask_userinfo(match[0]), text)
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", text)


def mask_variable(name: str, value: str) -> str:
    """Return the value of an environment variable with its secrets masked: all of it when the name speaks of one."""
    return MASK if _SECRET_VARIABLE.search(name) else mask_credentials(value)


def cut_queries(text: str) -> str:
    """Return `text` with query strings replaced by `?...`: all from a `?` inside a word to the end of the word."""
    return _QUERY.sub("?...", text)


def escape_controls(text: str, keep: str = "") -> str:
    """Return `text` with control and invisible characters as escapes: one line, in which everything can be seen.

    A name may be shown as it is if this does not change it.

    Args:
        text: any text.
        keep: characters that are not escaped.
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _mask_userinfo(word: str) -> str:
    """Mask the password of a URL in a word."""
    # Up to the last "@": a password that is not percent-encoded may contain "@" and "/".
    end = word.rfind("@")
    if end < 0 or (scheme := _SCHEME.search(word, 0, end)) is None:
        return word
    user = _USER.match(word, scheme.end(), end)
    name = "" if user is None else f"{user[0]}:"
    return f"{word[: scheme.end()]}{name}{MASK}{word[end:]}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
