"""Messages of a history, in the shape of Centrifugo's publications."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from relay.attributes import read_publisher
from relay.message import NO_ORIGIN, Kind, PositionedMessage
from relay.position import Position
from relay.web.api.results import HistoryResult, Publication, PublisherInfo

_NULL: Final = Raw(b"null")

_any_json: Final = msgspec.json.Decoder(Raw)


def to_result(top: Position, messages: Iterable[PositionedMessage]) -> HistoryResult:
    """Return what was read of a history as back ends get it.

    Args:
        top: the position of the newest message.
        messages: in their order.
    """
    return HistoryResult(publications=[_to_publication(each) for each in messages], offset=top.offset, epoch=top.epoch)


def _to_publication(message: PositionedMessage) -> Publication:
    """Return a message as back ends get it.

    A field `data` is always there: Centrifugo's libraries need it. Clients may have published what is no JSON.
    """
    offset = message.position.offset
    info, tags = _info(message), _tags(message)
    if message.kind is Kind.BINARY:
        encoded = base64.b64encode(message.payload).decode()
        return Publication(data=_NULL, offset=offset, b64data=encoded, info=info, tags=tags)
    try:
        _any_json.decode(message.payload)
    except (msgspec.DecodeError, RecursionError):
        text = Raw(msgspec.json.encode(message.payload.decode()))
        return Publication(data=text, offset=offset, text=True, info=info, tags=tags)
    return Publication(data=Raw(message.payload), offset=offset, info=info, tags=tags)


def _info(message: PositionedMessage) -> PublisherInfo | UnsetType:
    """Return which client has published a message; UNSET: none."""
    if message.origin == NO_ORIGIN:
        return UNSET
    client, carried = message.origin.hex(), message.attributes
    told = None if carried is None else read_publisher(carried.publisher)
    if told is None:
        return PublisherInfo(client=client)
    return PublisherInfo(user=told.user, client=client, conn_info=told.conn_info, chan_info=told.chan_info)


def _tags(message: PositionedMessage) -> Raw | UnsetType:
    carried = message.attributes
    return Raw(carried.tags) if carried is not None and carried.tags else UNSET
