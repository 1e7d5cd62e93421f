"""The keys of clients in RELAY_AUTH_KEYS, each perhaps with a user and rights: `KEY;user=ann;chat:*=rw;news=r`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from relay.auth.authenticator import UserError, check_user
from relay.auth.grant import Grant
from relay.auth.rights import LETTERS, MAX_PATTERNS, RightsError, read_rule
from relay.redaction import MASK

MIN_KEY_BYTES: Final = 16
MAX_KEY_BYTES: Final = 256

# As in a subprotocol (RFC 9110, section 5.6.2): browsers can offer no other characters.
_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")

_USER: Final = "user"


@dataclass(frozen=True, slots=True)
class AuthKey:
    """One key, and what it gives; as text it is masked.

    Args:
        key: the key.
        grant: what it gives.
    """

    key: str = field(repr=False)
    grant: Grant

    def __str__(self) -> str:
        return MASK


def read_auth_key(text: str, everything: bool) -> AuthKey:
    """Return a key from the settings.

    Args:
        text: a key, behind it `;user=NAME` and `;PATTERN=LETTERS`, all of them optional.
        everything: whether a key without rights of its own gives all; else it gives what RELAY_RIGHTS gives.

    Raises:
        ValueError: it is malformed; the text never repeats the key.
    """
    key, *parts = (part.strip() for part in text.split(";"))
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"has {len(key)} characters, and needs {MIN_KEY_BYTES} to {MAX_KEY_BYTES}")
    if not _KEY.match(key):
        raise ValueError("has characters that no subprotocol can have")
    user = None
    channels: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        name, separator, value = part.rpartition("=")
        try:
            if not separator:
                raise ValueError(f"must be user=NAME or PATTERN={LETTERS}")
            if name in channels or (name == _USER and user is not None):
                raise ValueError("is there twice")
            if name == _USER:
                user = check_user(value)
            else:
                read_rule(name, value)
                channels[name] = value
        except (UserError, RightsError, ValueError) as error:
            # By its number: with ; for a comma the next key stands here.
            rule = error.rule if isinstance(error, UserError | RightsError) else str(error)
            raise ValueError(f"has a part {number} behind the key that can't be used: {rule}") from None
    if len(channels) > MAX_PATTERNS:
        raise ValueError(f"has more than {MAX_PATTERNS} patterns")
    if not channels and everything:
        channels = {"*": LETTERS}
    return AuthKey(key, Grant(user, channels or None))


def read_rights(items: tuple[str, ...]) -> dict[str, str]:
    """Return the rights in a list of the settings, by pattern.

    Args:
        items: such as `chat:*=rw`.

    Raises:
        ValueError: one of them is malformed, or there are too many.
    """
    found: dict[str, str] = {}
    for item in items:
        pattern, separator, letters = item.rpartition("=")
        if not separator:
            raise ValueError(f"not {item[:80]!r}: PATTERN=LETTERS")
        try:
            read_rule(pattern, letters)
        except RightsError as error:
            raise ValueError(str(error)) from None
        if pattern in found:
            raise ValueError(f"{pattern} is there twice")
        found[pattern] = letters
    if len(found) > MAX_PATTERNS:
        raise ValueError(f"at most {MAX_PATTERNS} patterns")
    return found
