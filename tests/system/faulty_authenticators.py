"""Functions for RELAY_AUTH with faults, whose errors hold the credential, as careless ones do."""

from __future__ import annotations

from relay import ConnectRequest, Grant
from relay.auth.credential import find_credential


async def fails(request: ConnectRequest) -> Grant | None:
    """Raise an error that repeats the credential, from another one that does."""
    try:
        raise LookupError(f"no user has {find_credential(request)!r}")
    except LookupError as error:
        raise RuntimeError(f"can't identify {request!r}") from error


async def answers_nonsense(request: ConnectRequest) -> Grant | None:
    """Return what is no grant."""
    return str(find_credential(request))  # type: ignore[return-value]
