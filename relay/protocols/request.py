"""What a client asks for when it connects, as far as deciding about it needs to know."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from relay.channel import channel_from_path
from relay.errors import ChannelError, Refused
from relay.protocols.emulated_headers import EmulatedHeaders, pick_emulated
from relay.replay import MAX_NEWEST

MAX_PARAMETERS = 32

CREDENTIAL = "token"
"""Parameter of the URL's query that holds the client's credential."""

CREDENTIAL_HEADER: Final = "authorization"

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """One opening handshake.

    Args:
        path: of the URL, still percent-encoded, without the query.
        query: parameters of the URL, decoded; the last one of a name counts.
        headers: request headers; look-up ignores case, and their names may come in any.
        remote: address of the peer, for logs.
        bearer: the credential in `Sec-WebSocket-Protocol`; None: there is none.
        certificate_user: the user whom its TLS certificate names; None: no certificate was asked for.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    remote: str
    bearer: str | None = None
    certificate_user: str | None = None

    def header(self, name: str) -> str | None:
        """Return a header that may come once; None: it doesn't come.

        Raises:
            Refused: with 400; it came more than once.
        """
        try:
            return self.headers.get(name)
        except LookupError:  # of `websockets`, for a header that comes twice
            raise Refused(400, f"more than one {name} header") from None

    def with_token(
        self, token: str, headers: Mapping[str, str] = _NO_HEADERS, allowed: Collection[str] = ()
    ) -> ConnectRequest:
        """Return this request as it would be with a token that its client sends later, in its protocol.

        The token is then the only credential: those of the request aren't looked at. Cookies stay, for a back end that
        reads sessions; none of them is a credential beside a token.

        Args:
            token: not verified. Empty: the client sends none, and what the request has counts.
            headers: that the client sends in its protocol.
            allowed: names of those of them that count, where the request doesn't have them itself.

        Raises:
            Refused: with 400; the headers can't be used.
        """
        emulated = pick_emulated(headers, allowed)
        if not token:
            return replace(self, headers=EmulatedHeaders(self.headers, (), emulated)) if emulated else self
        emulated.pop(CREDENTIAL_HEADER, None)
        query = {name: value for name, value in self.query.items() if name != CREDENTIAL}
        seen = EmulatedHeaders(self.headers, (CREDENTIAL_HEADER,), emulated)
        return replace(self, query=query, headers=seen, bearer=token)


def parse_request(
    target: str,
    headers: Mapping[str, str],
    remote: str,
    bearer: str | None = None,
    certificate_user: str | None = None,
) -> ConnectRequest:
    """Read a request target.

    Args:
        target: path and query, as they stand in the request line.
        headers: request headers.
        remote: address of the peer.
        bearer: see `ConnectRequest`.
        certificate_user: see `ConnectRequest`.

    Raises:
        Refused: the target is not a plain path, or its query is malformed.
    """
    # Not by urlsplit: it drops tabs, reads `//host/path` as a host, and so sees another path than a proxy's rules do.
    path, _, encoded = target.partition("?")
    if not path.startswith("/") or path.startswith("//") or not target.isprintable() or "#" in target:
        raise Refused(400, "the request target must be a path, without control characters and fragment")
    if not encoded:
        return ConnectRequest(path, {}, headers, remote, bearer, certificate_user)
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise Refused(400, "the URL's query is malformed") from None
    query = dict(pairs)
    if len(query) < len(pairs) and [name for name, _ in pairs].count(CREDENTIAL) > 1:
        # A proxy may check one of them, and the relay the other.
        raise Refused(400, f"more than one {CREDENTIAL} in the URL's query")
    return ConnectRequest(path, query, headers, remote, bearer, certificate_user)


def requested_channel(request: ConnectRequest, root: str, default: str) -> str:
    """Return the channel that a request's path names.

    Args:
        request: of a client that isn't identified yet.
        root: path below which the names of channels begin, such as `/ws`.
        default: channel of the root itself, with or without a slash.

    Raises:
        Refused: with 404 for a path that is not below the root, with 400 for what no channel may be called.
    """
    path = request.path
    if path in (root, root + "/"):
        return default
    if not path.startswith(root + "/"):
        raise Refused(404, f"nothing here; channels are at {root}/CHANNEL")
    try:
        return channel_from_path(path.removeprefix(root + "/"))
    except ChannelError as error:
        raise Refused(400, str(error)) from error


def requested_history(request: ConnectRequest) -> int:
    """Return how many of its channel's newest messages a client gets before live ones, if there are so many; 0: none.

    One that asks for more than `MAX_NEWEST` gets so many.

    Raises:
        Refused: with 400; it is no number.
    """
    given = request.query.get("history", "0")
    if _COUNT.fullmatch(given) is None:
        raise Refused(400, "history must be a number of messages, such as 20")
    return min(int(given), MAX_NEWEST)
