"""Publications as differences from the ones before, for clients that want them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from relay.message import Kind, Message
from relay.protocols.centrifuge import fossil
from relay.protocols.centrifuge.json_payload import json_string
from relay.protocols.centrifuge.publications import publication_of
from relay.protocols.centrifuge.results import Publication
from relay.protocols.centrifuge.wire import Wire


class Differences:
    """Makes the publications of one channel, in their order; see `relay.message.Encoder`.

    All receivers must have got the publication before. So one that a client joins behind is sent whole to all of them.

    Args:
        wire: of the receivers.
    """

    __slots__ = ("__weakref__", "_before", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        # The publication before; None: not all receivers have it.
        self._before: bytes | None = None

    def __call__(self, message: Message) -> bytes:
        """Return the push of a message, as it goes to clients; empty for one that JSON can't carry."""
        publication = self.next(message)
        return b"" if publication is None else self._wire.push(message.channel, publication)

    def begin(self) -> None:
        """Send the next publication whole: a client has come that doesn't have the one before."""
        self._before = None

    def recovered(self, messages: Sequence[Message]) -> list[Publication]:
        """Return what a client has missed: the first whole, the others as differences.

        It has the last of them then, which is the one before the next for all others, too.
        """
        own = Differences(self._wire)
        return [made for message in messages if (made := own.next(message)) is not None]

    def next(self, message: Message) -> Publication | None:
        """Return a message as a publication; None: JSON can't carry it, and it is left out."""
        text = self._wire.format.kind is Kind.TEXT
        if text and message.kind is not Kind.TEXT:
            return None
        before, self._before = self._before, message.payload
        delta = None if before is None else fossil.create(before, message.payload)
        whole = delta is None or len(delta) >= len(message.payload)
        sent = message.payload if whole else delta
        assert sent is not None
        made = publication_of(message, json_string(sent) if text else sent)
        # As Centrifugo does: in JSON these publications tell no epoch.
        return replace(made, delta=not whole, epoch="" if text else made.epoch)
