"""Messages of a history, in the shape of Centrifugo's publications."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, Raw

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
    info = UNSET if message.origin == NO_ORIGIN else PublisherInfo(message.origin.hex())
    if message.kind is Kind.BINARY:
        return Publication(data=_NULL, offset=offset, b64data=base64.b64encode(message.payload).decode(), info=info)
    try:
        _any_json.decode(message.payload)
    except (msgspec.DecodeError, RecursionError):
        return Publication(data=Raw(msgspec.json.encode(message.payload.decode())), offset=offset, text=True, info=info)
    return Publication(data=Raw(message.payload), offset=offset, info=info)
