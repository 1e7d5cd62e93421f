"""The header `Idempotency-Key` of a request that publishes (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from relay.errors import Refused
from relay.idempotency_key import MAX_LETTERS, IdempotencyKeyError, check_idempotency_key

HEADER: Final = "Idempotency-Key"

_STRING: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
"""A string of RFC 9651, section 3.3.3; its characters are checked as those of any key."""

_BARE: Final = re.compile(r'[^",;\s]+')
"""What the draft doesn't have, and most clients send: no quotes. Nothing that begins another item or a parameter."""

_RULE: Final = f'{HEADER}: must be a key of 1 to {MAX_LETTERS} printable ASCII characters, in quotes: "KEY"'


def read_idempotency_key(headers: Sequence[str]) -> str | None:
    """Return the key that a request names; None: it names none.

    Args:
        headers: all of this name that the request has.

    Raises:
        Refused: with 400; it is malformed, or there are several. A message that its sender takes for one that may be
            repeated must not be published as one that may not.
    """
    if not headers:
        return None
    if len(headers) > 1:
        raise Refused(400, f"more than one {HEADER} header")
    text = headers[0].strip(" \t")
    if found := _STRING.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", found[1])
    elif not _BARE.fullmatch(text):
        raise Refused(400, _RULE)
    try:
        return check_idempotency_key(text)
    except IdempotencyKeyError:
        raise Refused(400, _RULE) from None
