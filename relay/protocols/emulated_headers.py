"""Headers that a client sends in its protocol, because a page can't set those of a WebSocket."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from relay.errors import Refused

MAX_VALUE_BYTES: Final = 8192
"""Of one emulated header: what a real one has room for in a head of the default size."""

_NEVER: Final = re.compile(
    r"(?:Origin|Host|Cookie|Forwarded|X-Forwarded-.*|X-Real-IP|Via|Sec-.*|Proxy-.*|Connection|Upgrade)\Z", re.IGNORECASE
)
"""Headers that a browser or a proxy vouches for: a page must not say them of itself."""


class EmulatedHeaders(Mapping[str, str]):
    """The headers of a request, and behind them those that its client has sent in its protocol.

    A real header wins: a proxy may have set it. Look-up ignores case.

    Args:
        real: headers of the request.
        hidden: names of those of them that are not seen, in lower case.
        emulated: by name in lower case.
    """

    __slots__ = ("_emulated", "_hidden", "_real")

    def __init__(self, real: Mapping[str, str], hidden: Collection[str], emulated: Mapping[str, str]) -> None:
        self._real = real
        self._hidden = hidden
        self._emulated = emulated

    def __getitem__(self, name: str) -> str:
        """Return a header; raises `LookupError` for one that isn't there, or comes twice."""
        key = name.lower()
        if key not in self._hidden and name in self._real:
            return self._real[name]
        return self._emulated[key]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        yield from (name for name in self._real if name.lower() not in self._hidden)
        yield from (name for name in self._emulated if name in self._hidden or name not in self._real)

    def __len__(self) -> int:
        """Return the number of names."""
        return sum(1 for _ in self)


def pick_emulated(sent: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return those headers of a client's protocol that count, by name in lower case.

    Args:
        sent: as the client has sent it, not verified.
        allowed: names of those that may count; case makes no difference.

    Raises:
        Refused: with 400; one of them is too long, or comes twice with different values.
    """
    if not sent:
        return {}
    names = {name.lower() for name in allowed if not _NEVER.match(name)}
    picked: dict[str, str] = {}
    for name, value in sent.items():
        if (key := name.lower()) not in names:
            continue
        if len(value) > MAX_VALUE_BYTES:
            raise Refused(400, f"the header {key} is longer than {MAX_VALUE_BYTES} bytes")
        if picked.setdefault(key, value) != value:
            raise Refused(400, f"more than one {key} header")
    return picked
