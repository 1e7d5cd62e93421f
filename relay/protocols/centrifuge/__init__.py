"""The client protocol of Centrifugo, version 2: what its official clients say, and how they are answered.

`/connection/websocket`; JSON, or Protobuf with the subprotocol `centrifuge-protobuf`, `?cf_protocol=protobuf` or
`?format=protobuf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from relay.errors import Refused
from relay.message import Message
from relay.protocols.centrifuge import json_format
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.frame import encode_frame
from relay.protocols.request import ConnectRequest

PATH: Final = "/connection/websocket"

PROTOBUF: Final = "centrifuge-protobuf"
"""Subprotocol of clients that speak Protobuf."""

JSON: Final = "centrifuge-json"
"""Subprotocol of clients that speak JSON; most offer none."""


@cache
def json_wire() -> Wire:
    """Return how WebSockets are written to in JSON."""
    return Wire(json_format.FORMAT, lambda payload: encode_frame(Message("", payload)))


@cache
def protobuf_wire() -> Wire:
    """Return how WebSockets are written to in Protobuf, whose library is loaded now: 4 MB that most gateways save."""
    from relay.protocols.centrifuge.protobuf_format import FORMAT

    return Wire(FORMAT, lambda payload: encode_frame(Message("", payload, FORMAT.kind)))


class CentrifugeEndpoint:
    """Where these clients connect by WebSockets; see `relay.protocols.Endpoint`."""

    def select_subprotocol(self, offered: Sequence[str], accepted: Sequence[str]) -> str | None:
        """Return the subprotocol of a format if the client offers it."""
        return next((name for name in (PROTOBUF, JSON) if name in offered), None)

    def open(self, request: ConnectRequest, default_channel: str) -> Centrifuge:
        """Return the protocol of a client that connects.

        Raises:
            Refused: with 404 for another path, with 400 for a format that is not known.
        """
        if request.path.rstrip("/") != PATH:
            raise Refused(404, f"no WebSocket here; clients of the Centrifuge protocol connect to {PATH}")
        return Centrifuge(protobuf_wire() if _wants_protobuf(request) else json_wire(), request)


def _wants_protobuf(request: ConnectRequest) -> bool:
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered and PROTOBUF in (name.strip() for name in offered.split(",")):
        return True
    wanted = request.query.get("cf_protocol") or request.query.get("format") or "json"
    if wanted not in ("json", "protobuf"):
        raise Refused(400, "cf_protocol must be json or protobuf")
    return wanted == "protobuf"


endpoint = CentrifugeEndpoint()
