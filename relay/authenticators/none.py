"""`RELAY_AUTH=none`: believes the name in `?user=NAME`, or in a certificate, and gives every client the same rights."""

from __future__ import annotations

from collections.abc import Mapping

from relay.auth.authenticator import ANONYMOUS, EVERYTHING, Authenticator, Identity, UserError, check_user
from relay.auth.rights import PatternRights, compile_patterns
from relay.errors import Refused
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`."""
    return NameInQuery(settings.default_rights, certificates=settings.tls_client_ca is not None)


class NameInQuery:
    """Identifies clients by what they say; see `relay.auth.authenticator.Authenticator`.

    Args:
        rights: RELAY_RIGHTS; None: every client may do everything.
        certificates: whether every client has shown a certificate, which counts instead of what it says.
    """

    def __init__(self, rights: Mapping[str, str] | None = None, *, certificates: bool = False) -> None:
        self._certificates = certificates
        self._patterns = None if rights is None else compile_patterns(rights)

    def identify(self, request: ConnectRequest) -> Identity:
        """Return the identity with the name that the request gives.

        Raises:
            Refused: with 400, no user can have that name; with 403, there is no certificate where there must be one.
        """
        if self._certificates and request.certificate_user is None:
            raise Refused(403, "the client certificate names no user")
        user = request.certificate_user or request.query.get("user")
        if self._patterns is None and user is None:
            return ANONYMOUS
        try:
            name = None if user is None else check_user(user)
        except UserError as error:
            raise Refused(400, str(error)) from None
        return Identity(name, EVERYTHING if self._patterns is None else PatternRights(self._patterns, name))
