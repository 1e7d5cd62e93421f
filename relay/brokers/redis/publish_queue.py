"""What is on its way to Redis, in order, and which share of the publish buffer it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, NamedTuple

from relay.brokers import Source
from relay.brokers.shares import Share, limits


class Publication(NamedTuple):
    """A message on its way to Redis.

    Args:
        source: is told when it fails; None for questions and probes, which no share counts.
        size: bytes of its command.
        accepted_at: when the first message of its batch was accepted: `time.monotonic()`, in seconds. uvloop's
            own time has whole milliseconds only, longer than a Redis nearby takes.
        receipt: called when it is known what became of it; None for clients. Without a source it gets the reply as
            it is, a refusal, too.
    """

    source: Source | None
    size: int
    accepted_at: float
    receipt: Callable[[Any], None] | None = None


class PublishQueue:
    """Messages that wait to be written, behind those that wait for their answer.

    Clients' messages have no receipts, and all others have: so only these cost a look at their share, and what the
    clients have is the rest.

    Args:
        buffer_bytes: bound of all together; see `relay.brokers.shares`.

    Attributes:
        publications: all, in order; the last `len(unsent)` of them are not written yet.
        unsent: the commands of these.
        size: bytes of all.
        with_receipt: bytes of those that have a receipt.
        client_limit: bytes at which the clients' share is used up.
    """

    __slots__ = ("_by_share", "_limits", "client_limit", "publications", "size", "unsent", "with_receipt")

    def __init__(self, buffer_bytes: int) -> None:
        self._limits = limits(buffer_bytes)
        self._by_share = dict.fromkeys(Share, 0)
        self.client_limit = self._limits[Share.CLIENTS]
        self.publications: deque[Publication] = deque()
        self.unsent: list[bytes] = []
        self.size = 0
        self.with_receipt = 0

    @property
    def client_bytes(self) -> int:
        """Bytes of the clients' messages."""
        return self.size - self.with_receipt

    @property
    def by_share(self) -> dict[Share, int]:
        """Bytes of all, by share."""
        return {**self._by_share, Share.CLIENTS: self.client_bytes}

    def used_up(self, share: Share) -> bool:
        """Tell whether a share takes no more messages."""
        taken = self.client_bytes if share is Share.CLIENTS else self._by_share[share]
        return taken >= self._limits[share]

    def charge(self, share: Share, size: int) -> None:
        """Count a message that has a receipt; a negative size when it is settled. The total is up to the caller."""
        self._by_share[share] += size
        self.with_receipt += size

    def take_unanswered(self) -> list[Publication]:
        """Take out what was written and has no answer."""
        publications = self.publications
        taken = [publications.popleft() for _ in range(len(publications) - len(self.unsent))]
        self._discount(taken)
        return taken

    def waiting(self) -> list[Publication]:
        """Return what is not written yet."""
        return list(islice(self.publications, len(self.publications) - len(self.unsent), None))

    def drop(self, sources: Collection[Source | None]) -> list[Publication]:
        """Take out what of some sources is not written yet, and return it."""
        waiting = self.waiting()
        dropped = [publication for publication in waiting if publication.source in sources]
        if dropped:
            kept = [entry for entry in zip(waiting, self.unsent, strict=True) if entry[0].source not in sources]
            for _ in waiting:
                self.publications.pop()
            self.publications.extend(publication for publication, _command in kept)
            self.unsent[:] = [command for _publication, command in kept]
            self._discount(dropped)
        return dropped

    def sources(self) -> set[Source]:
        """Return whose messages are here."""
        return {publication.source for publication in self.publications if publication.source is not None}

    def _discount(self, gone: list[Publication]) -> None:
        for publication in gone:
            self.size -= publication.size
            if publication.receipt is not None and publication.source is not None:
                self.charge(publication.source.share, -publication.size)
