"""Whether an input holds a credential that may let it in: a second opinion, generous, and without the relay's code."""

from __future__ import annotations

import hmac
import json
import math
import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.fuzz.grammar.credential import CLIENT_KEY, HASHES, SECRET
from tests.fuzz.grammar.http import API_KEY
from tests.fuzz.outcome import Outcome

_WORD = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,}")
_REFUSAL = re.compile(r'^data: \{(?:"id":[0-9]+,"error"|"push":\{"disconnect"|"disconnect"):')
_CHANNEL = re.compile(rb"GET /(?:ws|sse)/([a-z0-9:]+)\?")


def wrongly_admitted(data: bytes, outcome: Outcome, *, tokens: bool) -> bool:
    """Return whether a client was let in, or has published something, though nothing that it sent gives it a right to.

    Args:
        data: all that it has sent.
        outcome: what that has come to.
        tokens: whether credentials are tokens; else they are keys.
    """
    said = outcome.said
    # Clients of Centrifuge say who they are behind their handshake, and are told over their stream if they may not in.
    opened = any(status == 101 for status, _ in said.responses) and b"/connection/" not in data
    came_in = opened or not all(map(_REFUSAL.search, said.events))
    if not came_in and not outcome.published:
        return False
    readings = (data, unquote_to_bytes(data))
    if not tokens:
        return not any(key.encode() in reading for reading in readings for key in (CLIENT_KEY, API_KEY))
    if API_KEY.encode() in data:
        return False  # a back end may publish
    claims = [each for reading in readings for each in _valid_claims(reading)]
    asked = _CHANNEL.match(data)
    if came_in and asked is not None:
        return not any(_fits(each, asked[1].decode()) for each in claims)
    return not claims


def _valid_claims(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the claims of all tokens that are signed with the secret and have not expired."""
    for word in _WORD.findall(data):
        parts = word.split(b".")
        for start in range(len(parts) - 2):
            head, body, signature = parts[start : start + 3]
            digests = [hmac.digest(SECRET, head + b"." + body, name) for name in HASHES.values()]
            claims = _read(body)
            if _decode(signature) in digests and claims is not None and _lasts(claims):
                yield claims


def _lasts(claims: dict[str, Any]) -> bool:
    expiry = claims.get("exp")
    return isinstance(expiry, int | float) and math.isfinite(expiry) and expiry > time.time() - 300


def _fits(claims: dict[str, Any], channel: str) -> bool:
    """Return whether any of the patterns allows to subscribe; which of them decides is not asked."""
    rights = claims.get("channels")
    if not isinstance(rights, dict):
        return False
    for pattern, letters in rights.items():
        name = pattern.replace("{sub}", str(claims.get("sub")))
        fits = channel.startswith(name[:-1]) if name.endswith("*") else channel == name
        if fits and "r" in str(letters):
            return True
    return False


def _read(part: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(_decode(part) or b"null")
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _decode(part: bytes) -> bytes | None:
    try:
        return urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except (BinasciiError, ValueError):
        return None
