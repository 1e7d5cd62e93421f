"""PROXY headers as load balancers write them (version 2)."""

from __future__ import annotations

import ipaddress
import struct

LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
"""That of a balancer's own health check."""


def proxy_header(source: str, target: str = "127.0.0.1") -> bytes:
    """Return the header of a TCP connection.

    Args:
        source: address of the client.
        target: address that it has connected to; of the same version.
    """
    addresses = [ipaddress.ip_address(source), ipaddress.ip_address(target)]
    body = b"".join(address.packed for address in addresses) + struct.pack("!HH", 4711, 443)
    family = 0x11 if addresses[0].version == 4 else 0x21
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack("!BBH", 0x21, family, len(body)) + body
