"""Where clients of the Centrifuge protocol connect by a WebSocket that only listen: `/connection/uni_websocket`.

A client sends the request of `connect`, as its first message or as `?cf_connect=`, and gets bare pushes, in JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relay.errors import Refused
from relay.protocols.centrifuge import framings
from relay.protocols.centrifuge.streamed import Unidirectional
from relay.protocols.centrifuge.streams import CONNECT, check_connect
from relay.protocols.request import ConnectRequest

PATH: Final = "/connection/uni_websocket"


class UniWebSocketEndpoint:
    """See `relay.protocols.Endpoint`."""

    def select_subprotocol(self, offered: Sequence[str], accepted: Sequence[str]) -> str | None:
        """Return None: there is none to choose."""
        return None

    def open(self, request: ConnectRequest, default_channel: str) -> Unidirectional:
        """Return the protocol of a client that connects.

        Raises:
            Refused: with 404 for another path, with 400 for a request in the URL that can't be read.
        """
        if request.path.rstrip("/") != PATH:
            raise Refused(404, f"no WebSocket here; clients that only listen connect to {PATH}")
        first = request.query.get(CONNECT, "").encode()
        if first:
            check_connect(first)
        return Unidirectional(framings.unidirectional_frames(), request, "uni_websocket", first)


endpoint = UniWebSocketEndpoint()
