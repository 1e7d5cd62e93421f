"""Errors of the system in words, without its numbers and the places in C files. Pure."""

from __future__ import annotations

import os
import re
import ssl
from typing import Final

_NUMBERS: Final = (
    (re.compile(r"\[(?:Errno|WinError) -?\d+\] ?"), ""),
    (re.compile(r"\[(?:SSL|X509)(?:: \w+)?\] ?"), ""),
    (re.compile(r" ?\(?_ssl\.c:\d+\)?:? ?"), ""),
    # redis-py
    (re.compile(r"\bError -?\d+ (?=while )"), "error "),
    (re.compile(r"\(-?\d+, '([^']*)'\)"), r"\1"),
)

_CONNECT_CALL: Final = re.compile(r"\[Errno (\d+)\] Connect call failed \([^)]*\)")
"""asyncio's text: the address in Python's notation, and no reason."""

_REDIS_CONNECT: Final = re.compile(r"Error (-?\d+) connecting to (\S+)\. (.+?)\.?\Z")
"""redis-py's text; in its asyncio client the reason is asyncio's text."""


def in_words(error: BaseException) -> str:
    """Return an error in words for people who don't program, such as `Connection refused`; never empty.

    Args:
        error: of the system, of TLS, or of a library that wraps either.
    """
    # Both attributes are missing in errors that a library has created itself.
    if isinstance(error, ssl.SSLCertVerificationError) and (message := getattr(error, "verify_message", None)):
        return f"its certificate isn't trusted: {message}"
    if isinstance(error, ssl.SSLError) and (reason := getattr(error, "reason", None)):
        return f"TLS failed: {reason.lower().replace('_', ' ')}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.errno and text.startswith("Connect call failed"):  # asyncio's text
        text = os.strerror(error.errno)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{text}: {str(error.filename)!r}"
    text = _CONNECT_CALL.sub(lambda match: os.strerror(int(match[1])), text)
    text = _REDIS_CONNECT.sub(_without_redis_number, text)
    for pattern, replacement in _NUMBERS:
        text = pattern.sub(replacement, text)
    return text.strip() or type(error).__name__


def _without_redis_number(match: re.Match[str]) -> str:
    number, place, reason = match.groups()
    if reason.startswith("Connect call failed"):
        reason = os.strerror(int(number))
    return f"can't connect to {place}: {reason}"
