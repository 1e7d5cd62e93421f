"""Makes publications of the messages of the bus."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from relay.attributes import read_publisher, read_tags
from relay.message import Message, PositionedMessage, attributes_of
from relay.protocols.centrifuge.results import ClientInfo, Publication


def publication_of(message: Message, data: bytes) -> Publication:
    """Return a message as a publication.

    Args:
        message: of the bus, or of a history.
        data: what a format's `data` has made of its payload.
    """
    position = message.position if isinstance(message, PositionedMessage) else None
    return Publication(
        Raw(data),
        publisher_of(message),
        0 if position is None else position.offset,
        tags_of(message),
        epoch=position.epoch if position is not None and position.offset == 1 else "",
    )


def publisher_of(message: Message) -> ClientInfo | None:
    """Return who published a message; None: it doesn't say it, or says it in a way that is not understood."""
    attributes = attributes_of(message)
    if attributes is None or not attributes.publisher:
        return None
    publisher = read_publisher(attributes.publisher)
    if publisher is None:
        return None
    return ClientInfo(publisher.user, message.origin.hex(), _info(publisher.conn_info), _info(publisher.chan_info))


def tags_of(message: Message) -> dict[str, str] | None:
    """Return the tags of a message; None: it has none, or none that are understood."""
    attributes = attributes_of(message)
    return (read_tags(attributes.tags) or None) if attributes is not None and attributes.tags else None


def _info(info: Raw | UnsetType) -> Raw | None:
    return None if info is UNSET or bytes(info) == b"null" else info
