"""The PROXY header, by which a TCP load balancer tells the address of its client before the first byte of the client.

Version 1 is a line of text, version 2 is binary: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from typing import Final

from relay.errors import Refused
from relay.proxies.forwarded import read_address

TEXT_SIGNATURE: Final = b"PROXY "
BINARY_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"

MAX_TEXT_BYTES: Final = 107
"""Limit of a version 1 line with its end, by the specification."""

MAX_BINARY_BYTES: Final = 4096
"""Limit of what follows the first 16 bytes of version 2: addresses need at most 36, the rest are extensions (TLVs)."""

_FIRST_BYTES = (TEXT_SIGNATURE[0], BINARY_SIGNATURE[0])

_PORT = re.compile(r"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A PROXY header at the beginning of a connection.

    Args:
        size: in bytes; 0: there is no PROXY header.
        source: address of the client; None: the balancer connects for itself (a health check), or does not know it.
    """

    size: int
    source: str | None


NO_HEADER: Final = ProxyHeader(0, None)


def may_begin_header(data: bytes) -> bool:
    """Return whether a PROXY header may begin with some bytes; else `read_proxy_header` finds none, whatever follows.

    Args:
        data: the first bytes of a connection, at least one.
    """
    return data[0] in _FIRST_BYTES


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the PROXY header at the beginning of a connection.

    Args:
        data: all bytes that have come so far.

    Returns:
        The header, or `NO_HEADER`; None: more bytes must come first.

    Raises:
        Refused: with 400; the data begins like a PROXY header, but is malformed.
    """
    if data.startswith(BINARY_SIGNATURE):
        return _read_binary(data)
    if data.startswith(TEXT_SIGNATURE):
        return _read_text(data)
    undecided = BINARY_SIGNATURE.startswith(data) or TEXT_SIGNATURE.startswith(data)
    return None if undecided else NO_HEADER


def _read_text(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_TEXT_BYTES)
    if end < 0:
        if len(data) >= MAX_TEXT_BYTES:
            raise _malformed()
        return None
    words = data[:end].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader(end + 2, None)
    version = {"TCP4": 4, "TCP6": 6}.get(words[1])
    if version is None or len(words) != 6:
        raise _malformed()
    addresses = [read_address(word) for word in words[2:4]]
    # An IPv4-mapped IPv6 address is read as IPv4, which is fine in TCP6.
    if any(address is None or address.version > version for address in addresses):
        raise _malformed()
    if not all(_PORT.fullmatch(port) and int(port) <= 0xFFFF for port in words[4:]):
        raise _malformed()
    return ProxyHeader(end + 2, str(addresses[0]))


def _read_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    command, family, length = struct.unpack_from("!BBH", data, 12)
    if command not in (0x20, 0x21) or family >> 4 > 3 or family & 0xF > 2 or length > MAX_BINARY_BYTES:
        raise _malformed()
    needed = {0x11: 12, 0x21: 36}.get(family, 0) if command == 0x21 else 0
    if length < needed:
        raise _malformed()
    if len(data) < 16 + length:
        return None
    if not needed:  # LOCAL, or a family that is not TCP: its addresses are skipped
        return ProxyHeader(16 + length, None)
    kind, width = (socket.AF_INET, 4) if family == 0x11 else (socket.AF_INET6, 16)
    return ProxyHeader(16 + length, str(read_address(socket.inet_ntop(kind, data[16 : 16 + width]))))


def _malformed() -> Refused:
    return Refused(400, "the PROXY header is malformed")
