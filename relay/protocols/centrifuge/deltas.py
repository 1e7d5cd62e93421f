"""Publications as deltas to the ones before, for clients that want them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from relay.message import Kind, Message
from relay.namespaces import NoJson
from relay.protocols.centrifuge import fossil
from relay.protocols.centrifuge.json_payload import json_string
from relay.protocols.centrifuge.publications import publication_of
from relay.protocols.centrifuge.results import Publication
from relay.protocols.centrifuge.wire import Wire

SHARED: Final = 8
"""Deltas that are kept for clients of other wires: these have their turns right behind each other."""


class Deltas:
    """Makes the publications of one channel, in their order; see `relay.message.Encoder`.

    All receivers must have got the publication before. So one that a client joins behind is sent whole to all of them.

    A client of JSON gets each document, and each delta, as the text in a string. It parses what it has then, and
    one that can't stays away for good. So what is no JSON is left out, or is a string within that string.

    Args:
        wire: of the receivers.
        no_json: what they get of a message that is no JSON.
    """

    __slots__ = ("__weakref__", "_before", "_no_json", "_text", "_wire")

    def __init__(self, wire: Wire, no_json: NoJson) -> None:
        self._wire = wire
        self._no_json = no_json
        self._text = wire.format.kind is Kind.TEXT
        # The document before; None: not all receivers have it.
        self._before: bytes | None = None

    def __call__(self, message: Message) -> bytes:
        """Return the push of a message, as it goes to clients; empty for one that JSON can't carry."""
        document = self._document(message)
        if document is None:
            return b""
        before, self._before = self._before, document
        delta = None if before is None else _delta(before, document)
        if delta is None or len(delta) >= len(document):
            publication = self._publication(message, document)
        else:
            publication = replace(self._publication(message, delta), delta=True)
        return self._wire.push(message.channel, publication)

    def begin(self) -> None:
        """Send the next publication whole: a client has come that doesn't have the one before."""
        self._before = None

    def recovered(self, messages: Sequence[Message]) -> list[Publication]:
        """Return what a client has missed, whole: deltas would be made for this client alone, all in one step."""
        found = ((message, self._document(message)) for message in messages)
        return [self._publication(message, document) for message, document in found if document is not None]

    def _document(self, message: Message) -> bytes | None:
        """Return what a client has then; None: JSON can't carry it, and it is left out."""
        document = self._wire.format.data(message.payload)
        return json_string(message.payload) if document is None and self._no_json == "string" else document

    def _publication(self, message: Message, data: bytes) -> Publication:
        made = publication_of(message, json_string(data) if self._text else data)
        # As Centrifugo does: in JSON these publications tell no epoch.
        return replace(made, epoch="") if self._text else made


@lru_cache(SHARED)
def _delta(before: bytes, document: bytes) -> bytes | None:
    """Return what makes a document of the one before; see `fossil.create`."""
    return fossil.create(before, document)
