"""The request by which most clients open a WebSocket, read in one pass. Pure.

Browsers and client libraries all write it alike. What is written in any other way, `relay.protocols.http_request` and
the library read, which are the judges of it: what is read here, they read as the same. So says
`tests/gateway/test_usual_upgrade.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.protocols.http_request import TOKEN

MAX_OFFERED: Final = 8
"""Subprotocols that a client usually offers; most offer none, or two."""

_HEAD: Final = re.compile(rb"GET (/[\x21\x22\x24-\x7e]*+) HTTP/1\.1\r\n((?:%b++:[\t\x20-\x7e]*+\r\n)++)\r\n" % TOKEN)
"""A request that has ASCII alone, and no body. CPython 3.11.2 matches no possessive group that ends possessively."""

_TOKEN: Final = TOKEN.decode() + "++"

USUAL: Final[Mapping[str, re.Pattern[str]]] = {
    "host": re.compile(r"(?:[0-9A-Za-z.-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]++)?"),
    "upgrade": re.compile("[Ww]ebsocket|WebSocket"),
    "connection": re.compile("(?:[Kk]eep-[Aa]live, )?[Uu]pgrade"),
    "sec-websocket-key": re.compile("[0-9A-Za-z+/]{22}=="),
    "sec-websocket-version": re.compile("13"),
    "sec-websocket-protocol": re.compile(f"{_TOKEN}(?:, ?{_TOKEN}){{0,{MAX_OFFERED - 1}}}"),
    # They announce a body, or wait for a word before it.
    "content-length": re.compile("(?!)"),
    "transfer-encoding": re.compile("(?!)"),
    "expect": re.compile("(?!)"),
}
"""Header that says how the request is to be understood → its usual values. All other headers may say anything."""

_NEEDED: Final = frozenset(("host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"))


class UsualHeaders(dict[str, str]):
    """Headers that come once each, by name in lower case; look-up ignores case."""

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        """Return a header; raises `KeyError` for one that isn't there."""
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        """Return whether a header is there."""
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # texts alone
        """Return a header, or another text when it isn't there."""
        return super().get(name.lower(), default)


class UsualUpgrade(NamedTuple):
    """A request for a WebSocket.

    Args:
        target: path and query, as they stand in the request line.
        host: `Host`.
        key: `Sec-WebSocket-Key`.
        origin: `Origin`; None: no page sends it.
        offered: the subprotocols that the client offers, in its order.
        headers: all of them.
    """

    target: str
    host: str
    key: str
    origin: str | None
    offered: list[str]
    headers: UsualHeaders


def read_usual_upgrade(data: bytes, max_bytes: int, max_headers: int) -> UsualUpgrade | None:
    """Return what a client has sent, if it is the usual request for a WebSocket, whole, and nothing else.

    Args:
        data: all that has come.
        max_bytes: limit of the head without the empty line.
        max_headers: limit of the number of headers.
    """
    if len(data) - 4 > max_bytes:
        return None  # first: to match as much as a socket gives at once takes milliseconds
    head = _HEAD.fullmatch(data)
    if head is None:
        return None
    fields = head[2][:-2].decode("ascii").split("\r\n")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if not len(headers) == len(fields) <= max_headers or not headers.keys() >= _NEEDED:
        return None
    for name, usual in USUAL.items():
        if name in headers and usual.fullmatch(headers[name]) is None:
            return None
    subprotocols = headers.get("sec-websocket-protocol")
    return UsualUpgrade(
        target=head[1].decode("ascii"),
        host=headers["host"],
        key=headers["sec-websocket-key"],
        origin=headers.get("origin"),
        offered=[] if subprotocols is None else [name.strip(" ") for name in subprotocols.split(",")],
        headers=UsualHeaders(headers),
    )
