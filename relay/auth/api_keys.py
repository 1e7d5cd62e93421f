"""Who may call the API: whoever has one of the keys."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

SCHEME = "apikey"


def given_key(headers: Mapping[str, str]) -> str:
    """Return the key of a request, from `X-API-Key` or `Authorization: apikey KEY`; empty when it has none."""
    if key := headers.get("X-API-Key", ""):
        return key.strip()
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == SCHEME else ""


def opens(key: str, keys: Iterable[str]) -> bool:
    """Tell whether a key is one of those that are set, in a time that says nothing about them."""
    given = key.encode(errors="surrogateescape")
    # A list: every key is compared, also after one that fits.
    return any([hmac.compare_digest(given, one.encode()) for one in keys])
