"""The gateways that are known to be there, by what they announce.

A survey is complete when all gateways have replied. On one Redis the reply to PUBLISH says how many that are, at once
and exactly, also just after a gateway was killed. There gateways announce nothing, and this table is not used.

Where the bus has several servers, each counts only the gateways that are connected to it. There every gateway
announces itself, as Centrifugo's nodes do: at its start, in reply to a newcomer, and every `ANNOUNCE_SECONDS`. It says
when it leaves. One that dies without saying so must reply until its last announcement expires: surveys fail until
then, rather than leave it out unnoticed.

Not on every bus, because G gateways together get G² announcements per interval, and because gateways of releases that
know no announcements would refuse, count and log each of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relay.control.messages import ControlMessageError

ANNOUNCE_SECONDS = 3.0
"""Between two announcements of a gateway."""

ANNOUNCEMENTS_TO_EXPIRY = 3.5
"""A gateway counts as gone after that many intervals: two announcements in a row may be lost, and the third be late."""

MAX_NODES = 1000
"""Gateways in the table. A thousand announce themselves 333 times a second, which takes each of them 2 % of a core."""


@dataclass(slots=True)
class _Node:
    """A gateway in the table.

    Args:
        name: host and port.
        heard_at: when it announced itself last.
    """

    name: str
    heard_at: float


class KnownNodes:
    """A table of gateways, each kept until it leaves or its announcements stop; pure.

    This gateway is one of them: it hears its own announcements from the bus, and can tell by them whether it hears the
    others.

    Args:
        uid: of this gateway.
        clock: returns seconds that never go back.
        announce_seconds: between two announcements of each gateway.
        max_nodes: how many gateways the table has room for.
    """

    def __init__(
        self,
        uid: str,
        clock: Callable[[], float],
        announce_seconds: float = ANNOUNCE_SECONDS,
        max_nodes: int = MAX_NODES,
    ) -> None:
        self._uid = uid
        self._clock = clock
        self._announce_seconds = announce_seconds
        self._expiry_seconds = ANNOUNCEMENTS_TO_EXPIRY * announce_seconds
        self._max_nodes = max_nodes
        # The one that was heard longest ago comes first.
        self._nodes: OrderedDict[str, _Node] = OrderedDict()
        self._settled_at = 0.0

    def __len__(self) -> int:
        """Return how many gateways are known."""
        self._expire()
        return len(self._nodes)

    def __contains__(self, uid: str) -> bool:
        """Return whether a gateway is known."""
        self._expire()
        return uid in self._nodes

    def __iter__(self) -> Iterator[str]:
        """Go through the uids of the gateways that are known now."""
        self._expire()
        return iter(list(self._nodes))

    def name(self, uid: str) -> str:
        """Return the name of a gateway; its uid when it isn't known."""
        node = self._nodes.get(uid)
        return uid if node is None else node.name

    @property
    def settled(self) -> bool:
        """Whether each gateway that announces itself is in the table.

        Not before this gateway has heard the bus for two intervals without a break: then every other gateway has
        announced itself in that time. And not while there is no room for a gateway.
        """
        return self._uid in self and self._clock() >= self._settled_at

    def announced(self, uid: str, name: str) -> bool:
        """Note that a gateway is there.

        Returns:
            Whether it was not known before: a newcomer, which doesn't know the others yet.

        Raises:
            ControlMessageError: the table is full.
        """
        self._expire()
        now = self._clock()
        new = uid not in self._nodes
        if new and uid == self._uid:
            self._settled_at = max(self._settled_at, now + 2 * self._announce_seconds)
        elif new and len(self._nodes) >= self._max_nodes:
            self._settled_at = now + self._expiry_seconds
            raise ControlMessageError(f"more than {self._max_nodes} gateways")
        self._nodes[uid] = _Node(name, now)
        self._nodes.move_to_end(uid)
        return new

    def left(self, uid: str) -> None:
        """Forget a gateway that has said that it leaves."""
        self._nodes.pop(uid, None)

    def _expire(self) -> None:
        """Forget the gateways whose announcements have stopped."""
        deadline = self._clock() - self._expiry_seconds
        while self._nodes:
            uid, node = next(iter(self._nodes.items()))
            if node.heard_at > deadline:
                return
            del self._nodes[uid]
