"""The user of a client that has shown a certificate. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.auth.authenticator import UserError, check_user


def user_of_certificate(certificate: Mapping[str, Any]) -> str | None:
    """Return the user whom a certificate names.

    It is its common name, the last one where there are several: the most particular one (RFC 4514, section 2.1). A
    certificate without any is called by its first alternative name, be it a host, an e-mail address or a URI.

    Args:
        certificate: as `ssl.SSLObject.getpeercert` returns it; its signatures are checked.

    Returns:
        None: there is no such name, or it is none that a user may have.
    """
    common = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    others = [value for _, value in certificate.get("subjectAltName", ()) if isinstance(value, str)]
    named = common[-1:] or others[:1]
    try:
        return check_user(named[0]) if named else None
    except UserError:
        return None
