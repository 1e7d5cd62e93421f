"""The credential of a client, such as a token or a key, and the places of a request in which it may stand.

The header, the subprotocol and the query name it on purpose; a browser sends a cookie without being asked. So a cookie
counts only when none of the others is there, and only pages of allowed origins can make a browser send it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from relay.errors import Refused
from relay.protocols.request import CREDENTIAL, ConnectRequest

MAX_CREDENTIAL_BYTES: Final = 8192
"""Of one credential; with headers of the default size there can't be much more."""

SUBPROTOCOL: Final = "bearer."
"""Before the credential in an entry of `Sec-WebSocket-Protocol`: pages can set no other header of a WebSocket."""

Cause = Literal[
    "no_credential",
    "too_long",
    "malformed",
    "wrong_key",
    "unknown_key",
    "wrong_algorithm",
    "wrong_signature",
    "expired",
    "not_yet_valid",
    "no_expiry",
    "wrong_issuer",
    "wrong_audience",
    "refused",
]
"""Why a client is refused with 401; the names in the counters."""

MISSING: Final = "no_credential"
"""Why a request without any is refused; the name in the counters."""

_SCHEME: Final = "bearer"


class Unauthenticated(Refused):
    """A client is refused because it has no credential, or none that is valid: with 401.

    Args:
        cause: the name in the counters.
        reason: a sentence for the client, which never repeats the credential.
    """

    def __init__(self, cause: Cause, reason: str) -> None:
        # RFC 6750, section 3: a request without any credential is told the scheme alone.
        error = "" if cause == MISSING else ' error="invalid_token"'
        super().__init__(401, reason, {"WWW-Authenticate": f"Bearer{error}"})
        self.cause = cause


def find_credential(request: ConnectRequest, cookie: str | None = None) -> str | None:
    """Return the credential of a request; None: it has none.

    Args:
        request: of a client.
        cookie: name of the cookie in which it may stand, too; None: in none.

    Raises:
        Refused: with 400, there are two that differ; with 401, it is longer than `MAX_CREDENTIAL_BYTES`.
    """
    found = None
    for named in (_of_header(request), request.bearer, request.query.get(CREDENTIAL)):
        if named and found is not None and named != found:
            raise Refused(400, "the request has two credentials that differ")
        found = named or found
    if found is None and cookie is not None:
        found = find_cookie(request.header("Cookie"), cookie)
    if found is not None and len(found) > MAX_CREDENTIAL_BYTES:
        raise Unauthenticated("too_long", f"the credential is longer than {MAX_CREDENTIAL_BYTES} bytes")
    return found


def take_bearer(offered: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the subprotocols that a client offers without its credential, and the credential; None: it has none.

    Raises:
        Refused: with 400; there is more than one credential.
    """
    others = [name for name in offered if not name.startswith(SUBPROTOCOL)]
    if len(others) == len(offered):
        return others, None
    if len(offered) - len(others) > 1:
        raise Refused(400, f"more than one {SUBPROTOCOL}TOKEN in Sec-WebSocket-Protocol")
    return others, next(name for name in offered if name.startswith(SUBPROTOCOL)).removeprefix(SUBPROTOCOL)


def find_cookie(header: str | None, name: str) -> str | None:
    """Return the value of a cookie; None: it isn't there, or empty.

    Args:
        header: `Cookie` (RFC 6265, section 4.2.1); None: the request has none.
        name: of the cookie.

    Raises:
        Refused: with 400; it comes twice with different values, one of which another site below the same domain may
            have set. Their order says nothing (section 5.4).
    """
    found = set()
    for pair in (header or "").split(";"):
        key, separator, value = pair.strip(" ").partition("=")
        if separator and key == name:
            found.add(value.strip('"'))
    if len(found) > 1:
        raise Refused(400, f"the cookie {name} comes twice, with different values")
    return (found.pop() or None) if found else None


def _of_header(request: ConnectRequest) -> str | None:
    """Return the credential in `Authorization: Bearer CREDENTIAL` (RFC 6750, section 2.1)."""
    scheme, _, credential = (request.header("Authorization") or "").partition(" ")
    return credential.strip(" ") if scheme.lower() == _SCHEME else None
