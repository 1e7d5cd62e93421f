"""The kinds of values that settings of access have: how each is parsed, checked, described and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr
from yarl import URL

from relay.auth.auth_keys import MAX_KEY_BYTES, MIN_KEY_BYTES, AuthKey, read_auth_key, read_rights
from relay.auth.keys import MIN_SECRET_BYTES, UnusableKey, public_keys, secret_key
from relay.settings.values import ValueKind, split_list

_MODES: Final = ("none", "key", "jwt", "http")

_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z", re.ASCII)

_COOKIE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")


def _check_mode(mode: str) -> str:
    lowered = mode.lower()
    if lowered in _MODES:
        return lowered
    if not _FUNCTION.match(mode):
        raise ValueError
    return mode


def read_keys(keys: tuple[SecretStr, ...], everything: bool) -> list[AuthKey]:
    """Return keys with what they give; see `read_auth_key`.

    Raises:
        ValueError: one is malformed, or stands twice.
    """
    found: dict[str, AuthKey] = {}
    for number, key in enumerate(keys, 1):
        try:
            read = read_auth_key(key.get_secret_value(), everything)
        except ValueError as error:
            raise ValueError(f"number {number} {error}") from None
        if read.key in found:
            raise ValueError(f"number {number} is there twice")
        found[read.key] = read
    return list(found.values())


def _check_cookie(name: str) -> str:
    if not _COOKIE.match(name):
        raise ValueError
    return name


def _check_secret(secret: SecretStr) -> SecretStr:
    try:
        secret_key(secret.get_secret_value())
    except UnusableKey as error:
        raise ValueError(f"this one {error}") from None
    except UnicodeEncodeError:
        raise ValueError("this one is not valid UTF-8") from None
    return secret


def _read_public_keys(value: str) -> str:
    """Return the PEM text that a setting holds, or that is in the file that it names."""
    text = value.replace("\\n", "\n")
    try:
        if "-----BEGIN" not in text:
            text = Path(value).read_text()
        public_keys(text)
    except (OSError, ValueError) as error:
        # Without its name, which may be a secret by mistake.
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8, or has a zero byte in its name"
        raise ValueError(f"it contains no PEM block, and it isn't a file that can be read: {reason}") from None
    except UnusableKey as error:
        raise ValueError(f"this one {error}") from None
    return text


def _check_http_url(text: str) -> str:
    """Refuse what no request can be sent to, and passwords: a URL is shown in logs."""
    try:
        url = URL(text)
        host = url.host
    except ValueError:
        raise ValueError("it is malformed") from None
    if url.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        raise ValueError
    if url.user is not None or url.password is not None or url.fragment:
        raise ValueError("without a user, a password and a fragment")
    return text


def _check_texts(items: tuple[str, ...]) -> tuple[str, ...]:
    if not all(items):
        raise ValueError("one is empty")
    return items


def _read_rights(value: object) -> object:
    if isinstance(value, Mapping):
        value = tuple(f"{pattern}={letters}" for pattern, letters in value.items())
    items = split_list(value)
    return read_rights(items) if isinstance(items, tuple) else items


AuthMode = Annotated[
    str,
    AfterValidator(_check_mode),
    ValueKind("choice", f"{'|'.join(_MODES)}, or the dotted path of an async function such as shop.auth.identify"),
]
RightsByPattern = Annotated[
    dict[str, str],
    BeforeValidator(_read_rights),
    ValueKind("list", "PATTERN=LETTERS such as chat:*=rw, separated by commas; r, w, p and h are the letters"),
]
AuthKeys = Annotated[
    tuple[SecretStr, ...],
    BeforeValidator(split_list),
    ValueKind(
        "keys",
        f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES} letters, digits and !#$%&'*+.^_`|~- each, separated by commas; "
        "after a key optionally ;user=NAME and ;PATTERN=LETTERS",
    ),
]
CookieName = Annotated[str, AfterValidator(_check_cookie), ValueKind("text", "the name of a cookie")]
TokenSecret = Annotated[
    SecretStr, AfterValidator(_check_secret), ValueKind("secret", f"at least {MIN_SECRET_BYTES} bytes of UTF-8")
]
PublicKeys = Annotated[
    str,
    AfterValidator(_read_public_keys),
    ValueKind("PEM", "public keys or certificates in PEM, or the path of a file that holds them"),
]
HttpUrl = Annotated[
    str, AfterValidator(_check_http_url), ValueKind("URL", "https://HOST[:PORT]/PATH; http:// within a safe network")
]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_check_texts),
    ValueKind("list", "texts, separated by commas"),
]
