"""The address of a gateway, as people write it: with or without what stands behind it for browsers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from relay.channel import channel_from_path
from relay.errors import ChannelError

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

_FORM: Final = "must look like http://host:8000 or wss://host"

_ENDPOINT: Final = re.compile(
    r"(?P<base>.*?)/(?:(?:ws|sse|poll|publish)(?:/(?P<channel>.*))?|(?:readyz|healthz|metrics|api))\Z"
)
"""What a gateway serves; before it there may be a path of the proxy's."""


class AddressError(ValueError):
    """An address that names no gateway; its text says why."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where a gateway is.

    Args:
        scheme: ws or wss.
        place: host and port.
        path: in front of `/ws`, without a slash at its end; mostly empty.
        host: without brackets.
        port: TCP port.
        channel: that the address names, such as the one of `ws://host/ws/lobby`; None: it names none.
    """

    scheme: str
    place: str
    path: str
    host: str
    port: int
    channel: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            AddressError: it is none.
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
            # A slash at the end is one too many, and not part of the name.
            channel = channel_from_path(endpoint["channel"]) if endpoint and endpoint["channel"] else None
        except ChannelError as error:
            raise AddressError(str(error)) from None
        scheme = _SCHEMES[parts.scheme]
        path = endpoint["base"] if endpoint else parts.path.rstrip("/")
        return cls(scheme, parts.netloc, path, parts.hostname, port or (443 if scheme == "wss" else 80), channel)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.place}"

    @property
    def base(self) -> str:
        """All in front of `/ws`."""
        return self.origin + self.path
