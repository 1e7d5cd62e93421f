"""What must never be shown as it is: passwords, query strings and control characters."""

from __future__ import annotations

import re

MASK = "***"

# Greedy up to the last "@": a password that was not percent-encoded may hold "@" and "/" itself.
_CREDENTIALS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?:(?P<user>[^\s:@/]*):)?[^\s]*@")
_SECRET_PARAMETER = re.compile(r"(?i)([?&](?:password|token|secret|key)=)[^&\s]*")
_QUERY = re.compile(r"(?<=[^\s?])\?[^\s\"'<>]+")
# C0, DEL, C1, the Unicode line breaks, and the marks that turn text around.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def mask_credentials(text: str) -> str:
    """Return `text` with the passwords of all its URLs replaced by `***`.

    A user name without a password is masked too: in a Redis URL it is nearly always a misplaced password.
    """
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", _CREDENTIALS.sub(_mask_userinfo, text))


def cut_queries(text: str) -> str:
    """Return `text` with everything from a `?` inside a word up to the end of that word replaced by `?...`."""
    return _QUERY.sub("?...", text)


def escape_controls(text: str, keep: str = "") -> str:
    """Return `text` with control characters written as escapes, so that it stays on one line of a terminal.

    Args:
        text: any text.
        keep: control characters that stay as they are.
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _mask_userinfo(match: re.Match[str]) -> str:
    user = match["user"]
    return f"{match['scheme']}{MASK}@" if user is None else f"{match['scheme']}{user}:{MASK}@"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
