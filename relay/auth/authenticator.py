"""Who a client is. The one place that decides it: tokens will be checked here."""

from __future__ import annotations

from dataclasses import dataclass

from relay.channel import is_visible
from relay.errors import Refused
from relay.protocols.request import ConnectRequest

MAX_USER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client says it is.

    Args:
        user: its name; None when it gave none.
    """

    user: str | None


ANONYMOUS = Identity(None)


def identify(request: ConnectRequest) -> Identity:
    """Return who sends a request.

    For now a client is whoever `?user=NAME` says: a name for logs, not a proof.

    Raises:
        Refused: the name is not 1 to 64 bytes of UTF-8, all of it visible and without surrounding white space.
    """
    user = request.query.get("user")
    if user is None:
        return ANONYMOUS
    if not 1 <= len(user.encode()) <= MAX_USER_BYTES:
        raise Refused(400, f"user must have 1 to {MAX_USER_BYTES} bytes of UTF-8")
    if not is_visible(user):
        rule = "must not contain control characters, or others that are invisible or turn text around"
        raise Refused(400, f"user {rule}")
    if user != user.strip():
        raise Refused(400, "user must not begin or end with white space")
    return Identity(user)
