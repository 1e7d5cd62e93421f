"""Who may do what at a gateway, told at its start."""

from __future__ import annotations

from typing import Final

from relay.auth.authenticator import Authenticator
from relay.auth.rights import USER
from relay.authenticators import AUTHENTICATORS
from relay.logs import Logger
from relay.redaction import mask_credentials
from relay.settings import Settings
from relay.settings.field import PREFIX

FUNCTION = "function"
PROGRAM = "program"

_CREDENTIALS: Final = ("auth_keys", "jwt_secret", "jwks_url", "jwt_public_key", "auth_url")
"""Settings that say by what clients are identified, and do nothing with RELAY_AUTH=none."""

log = Logger("relay.gateway")


def auth_kind(settings: Settings, authenticator: Authenticator | None = None) -> str:
    """Return how clients are identified: a mode of RELAY_AUTH, `function` for the path of one, or `program`.

    Args:
        settings: of the gateway.
        authenticator: that a program has brought; None: the settings name it.
    """
    if authenticator is not None:
        return PROGRAM
    return settings.auth if settings.auth in AUTHENTICATORS else FUNCTION


def identifies_users(kind: str) -> bool:
    """Return whether a name is that of one user: with `none` any client can claim it, with `key` many may share it.

    Args:
        kind: see `auth_kind`.
    """
    return kind not in ("none", "key")


def report_access(settings: Settings, kind: str) -> None:
    """Log what clients may do. That each may do everything is a warning where other machines can connect, too.

    Args:
        settings: of the gateway.
        kind: see `auth_kind`.
    """
    if kind != "none":
        log.info("clients are identified", **_identified(settings, kind))
        return
    unused = [PREFIX + name.upper() for name in _CREDENTIALS if getattr(settings, name) is not None]
    if unused:
        log.warning(
            "credentials are not asked for",
            reason="RELAY_AUTH is none",
            unused=unused,
            remedy="RELAY_AUTH=key, RELAY_AUTH=jwt or RELAY_AUTH=http",
        )
    if settings.tls_client_ca is not None:
        log.info(
            "clients are identified",
            by="certificates",
            authorities=settings.tls_client_ca,
            rights=settings.default_rights,
        )
        return
    if settings.default_rights is None:
        tell = log.info if settings.on_loopback else log.warning
        tell(
            "every client may use every channel",
            reason="RELAY_AUTH is none: every client that reaches this port may listen and publish to every channel",
            remedy="RELAY_AUTH=key or RELAY_AUTH=jwt",
        )
        return
    # With {sub} a client would choose its rights by its name.
    tell = log.warning if any(USER in pattern for pattern in settings.default_rights) else log.info
    tell(
        "every client has the same rights",
        reason="RELAY_AUTH is none: clients that reach this port have these rights, and the name in ?user= is believed",
        rights=settings.default_rights,
    )


def _identified(settings: Settings, kind: str) -> dict[str, object]:
    """Return by what clients are identified, without secrets."""
    if kind == "key":
        return {"by": "keys", "keys": len(settings.auth_keys or ())}
    if kind == "jwt":
        names = ("jwt_secret", "jwt_previous_secret", "jwks_url", "jwt_public_key")
        found = [PREFIX + name.upper() for name in names if getattr(settings, name) is not None]
        return {"by": "tokens", "keys": found, "issuer": settings.jwt_issuer, "audience": settings.jwt_audience}
    if kind == "http":
        return {"by": "a back end", "url": settings.auth_url}
    if kind == FUNCTION:
        return {"by": "a function", "function": mask_credentials(settings.auth)}
    return {"by": "the program that runs this gateway"}
