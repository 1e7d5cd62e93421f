"""The address of a client that connects through proxies, by `X-Forwarded-For` or `Forwarded` (RFC 7239).

Only trusted proxies are believed. Each appends the address of its own peer. So the list is read from the right: the
last address that is not a trusted proxy is the client's. The client itself may have sent everything further left.

A list that can't be read is refused. Its client must not be known by the proxy's address: that is often a private one,
which has no limits, and where it has, one client could use up what all others behind the proxy share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from relay.errors import Refused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # the grammar's word, no secret
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(rf"[ \t]*({_TOKEN})=({_TOKEN}|{_QUOTED})[ \t]*")
_IN_BRACKETS = re.compile(r"\[([^]]*)\](?::[0-9]{1,5}|:_[\w.-]+)?\Z")
_WITH_PORT = re.compile(r"([0-9.]+):(?:[0-9]{1,5}|_[\w.-]+)\Z")


class TrustedProxies:
    """The proxies that are believed about the addresses of their clients.

    Args:
        networks: their addresses and networks, such as `127.0.0.1` and `10.0.0.0/8`; empty: no proxy is believed.

    Raises:
        ValueError: one of them is neither an address nor a network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(network) for network in networks)

    def __bool__(self) -> bool:
        """Return whether any proxy is believed."""
        return bool(self._networks)

    def trust(self, address: str) -> bool:
        """Return whether an address is that of a trusted proxy; False for a text that is no address."""
        if not self._networks:
            return False
        found = read_address(address.partition("%")[0])
        return found is not None and self._trust(found)

    def client_address(self, peer: str, x_forwarded_for: Iterable[str], forwarded: Iterable[str]) -> str:
        """Return the address of the client that has sent a request.

        A proxy maintains one of the two headers, and passes on the other as the client sent it. So both may be there
        only if they agree.

        Args:
            peer: address that the connection comes from.
            x_forwarded_for: values of all `X-Forwarded-For` headers, in order.
            forwarded: values of all `Forwarded` headers, in order.

        Returns:
            The peer's address if the peer is not trusted, or the headers are missing, or the proxy hides the client.

        Raises:
            Refused: with 400; a trusted peer has passed on headers that differ, or one whose end is malformed.
        """
        if not self.trust(peer):
            return peer
        x_chain, chain = _x_forwarded_for(",".join(x_forwarded_for)), _forwarded(",".join(forwarded))
        found = None if x_chain is None else self._last_untrusted(peer, x_chain, "X-Forwarded-For")
        if chain is None:
            return peer if found is None else found
        by_rfc = self._last_untrusted(peer, chain, "Forwarded")
        if found is not None and found != by_rfc:
            differ = "Forwarded and X-Forwarded-For name different clients"
            raise Refused(400, f"{differ}: a proxy must set both, or drop one")
        return by_rfc

    def _last_untrusted(self, peer: str, chain: list[str], header: str) -> str:
        """Return the last address of a chain that is not a trusted proxy's; the first one if all are.

        Raises:
            Refused: with 400; what was to be read of the header is malformed.
        """
        nearest = peer
        for element in reversed(chain):
            found = read_address(_without_port(element))
            if found is None:
                if not _is_hidden(element):
                    raise Refused(400, f"{header} is malformed")
                # Hidden by its proxy (`unknown`, `_name`): nothing further left can be believed.
                return nearest
            nearest = str(found)
            if not self._trust(found):
                break
        return nearest

    def _trust(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def read_address(text: str) -> Address | None:
    """Return the IP address that a text is; None: it is none. An IPv4-mapped IPv6 address is returned as IPv4."""
    if "%" in text:
        return None  # the zone of an IPv6 address may be any text
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def _x_forwarded_for(value: str) -> list[str] | None:
    """Return the elements of an `X-Forwarded-For` header; None: it is missing."""
    return [element.strip() for element in value.split(",")] if value.strip() else None


def _forwarded(value: str) -> list[str] | None:
    """Return the `for=` of each element of a `Forwarded` header; None: it is missing; `[""]`: it is malformed."""
    if not value.strip():
        return None
    try:
        return list(_for_of_each(value))
    except ValueError:
        return [""]


def _for_of_each(value: str) -> Iterator[str]:
    """Yield the `for` of each element, `unknown` for an element without one.

    Raises:
        ValueError: the header is malformed (RFC 7239, section 4).
    """
    start, found = 0, ""
    while True:
        pair = _PAIR.match(value, start)
        if pair is None:
            raise ValueError
        if pair[1].lower() == "for":
            if found:
                raise ValueError
            found = re.sub(r"\\(.)", r"\1", pair[2][1:-1]) if pair[2].startswith('"') else pair[2]
        start = pair.end()
        following = value[start : start + 1]
        if following not in ("", ",", ";"):
            raise ValueError
        if following != ";":
            yield found or "unknown"
            found = ""
        if not following:
            return
        start += 1


def _without_port(element: str) -> str:
    """Return an element without port and brackets."""
    match = _IN_BRACKETS.match(element) or _WITH_PORT.match(element)
    return match[1] if match else element


def _is_hidden(element: str) -> bool:
    """Return whether the proxy hides the address of an element (RFC 7239, section 6)."""
    return element.lower() == "unknown" or re.fullmatch(r"_[\w.-]+", element, re.ASCII) is not None
