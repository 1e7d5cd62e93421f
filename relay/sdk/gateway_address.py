"""The address of a gateway, as people write it: with or without an endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, urlsplit

from relay.channel import channel_from_path
from relay.errors import ChannelError, RelayError

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

_FORM: Final = "must look like http://host:8000 or wss://host"

_ENDPOINT: Final = re.compile(
    r"(?P<base>.*?)/(?:(?:ws|sse|poll|publish)(?:/(?P<channel>.*))?|(?:readyz|healthz|metrics|api))\Z"
)
"""An endpoint of a gateway; a proxy may put a path in front of it."""


class AddressError(RelayError, ValueError):
    """Text that is not the address of a gateway.

    Args:
        rule: that it breaks.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where a gateway is.

    Args:
        scheme: ws or wss.
        netloc: host and port, as they are written in a URL.
        path: in front of `/ws`, without a slash at its end; mostly empty.
        host: without brackets.
        port: TCP port.
        channel: that the address names, such as the one of `ws://host/ws/lobby`; None: it names none.
    """

    scheme: str
    netloc: str
    path: str
    host: str
    port: int
    channel: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address.

        Raises:
            AddressError: the text is not one.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{_FORM}: {error}") from None
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise AddressError(_FORM)
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            raise AddressError(f"{_FORM}: {parts.hostname!r} is no name of a host") from None
        if parts.username is not None or parts.query or parts.fragment:
            raise AddressError(f"{_FORM}, without user, ? and #")
        endpoint = _ENDPOINT.match(parts.path.rstrip("/"))
        try:
            # A slash at the end is not taken for a part of the name.
            channel = channel_from_path(endpoint["channel"]) if endpoint and endpoint["channel"] else None
        except ChannelError as error:
            raise AddressError(str(error)) from None
        scheme = _SCHEMES[parts.scheme]
        path = endpoint["base"] if endpoint else parts.path.rstrip("/")
        return cls(scheme, parts.netloc, path, parts.hostname, port or (443 if scheme == "wss" else 80), channel)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def base(self) -> str:
        """The URL up to `/ws`, without a slash at its end."""
        return self.origin + self.path

    @property
    def http_origin(self) -> str:
        """Scheme, host and port for requests that are no WebSockets."""
        return f"{'https' if self.scheme == 'wss' else 'http'}://{self.netloc}"

    def endpoint(self, name: str, channel: str) -> str:
        """Return the URL of a channel's HTTP endpoint.

        Args:
            name: of the endpoint, such as `sse`.
            channel: its name is encoded, slashes too: a URL library would normalize one such as "a/../b".
        """
        return f"{self.http_origin}{self.path}/{name}/{quote(channel, safe=':')}"
