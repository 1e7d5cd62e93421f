"""The address of a server under test, looked up once before the run."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit


class ServerAddress(NamedTuple):
    """Where a server is.

    Args:
        family: address family, as the socket module numbers them.
        address: IP address and port, and for IPv6 the flow and scope as well.
        tls: whether the connection is encrypted.
        name: host name, for certificates and SNI.
        host: value of the Host header.
    """

    family: int
    address: tuple[str, int] | tuple[str, int, int, int]
    tls: bool
    name: str
    host: str


def resolve(url: str) -> ServerAddress:
    """Return the address behind a ws or wss URL.

    Raises:
        OSError: the name can't be looked up.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "wss"
    name = parts.hostname or ""
    found = socket.getaddrinfo(name, parts.port or (443 if tls else 80), type=socket.SOCK_STREAM)
    # IPv4 first: 127.0.0.0/8 has addresses to spare, ::1 has none.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, *_, address = found[0]
    return ServerAddress(family, address, tls, name, parts.netloc.rpartition("@")[2])  # type: ignore[arg-type]
