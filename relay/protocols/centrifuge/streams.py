"""Where clients of the Centrifuge protocol connect by a request whose response doesn't end.

    /connection/sse               GET ?cf_connect=COMMANDS, or POST     server-sent events
    /connection/http_stream       POST                                  lines of JSON, or Protobuf
    /connection/uni_sse           GET ?cf_connect=REQUEST, or POST      server-sent events
    /connection/uni_http_stream   POST                                  lines of JSON

The first two are for official clients, whose further commands come by `POST /emulation`. To the others a client sends
one request, that of `connect`, and gets bare pushes.
"""

from __future__ import annotations

from typing import Final

from relay.errors import Refused
from relay.protocols.centrifuge import framings
from relay.protocols.centrifuge.formats import FormatError
from relay.protocols.centrifuge.streamed import Streamed, Unidirectional
from relay.protocols.centrifuge.unidirectional_format import read_connect
from relay.protocols.request import ConnectRequest

CONNECT: Final = "cf_connect"
"""Parameter of the URL's query that holds what a client says first, where the request has no body."""

PROTOBUF: Final = "application/octet-stream"
"""Content-Type of a body in Protobuf."""


class CentrifugeStreams:
    """See `relay.protocols.streams.StreamEndpoint`."""

    def open(self, request: ConnectRequest, body: bytes | None) -> Streamed:
        """Return the protocol of a client that connects.

        Raises:
            Refused: with 400; it has sent nothing, or what it has sent alone can't be read.
        """
        transport = request.path.rpartition("/")[2]
        first = request.query.get(CONNECT, "").encode() if body is None else body
        if transport.startswith("uni_"):
            return _open_unidirectional(request, transport, first if first or body is not None else b"{}")
        if body is None and not first:
            raise Refused(400, f"the parameter {CONNECT} must have the first commands")
        if transport == "sse":
            return Streamed(framings.json_events(), request, transport, first)
        protobuf = media_type(request.header("Content-Type")) == PROTOBUF
        wire = framings.protobuf_stream() if protobuf else framings.json_lines()
        return Streamed(wire, request, transport, first)


def _open_unidirectional(request: ConnectRequest, transport: str, first: bytes) -> Unidirectional:
    check_connect(first)
    wire = framings.unidirectional_events() if transport == "uni_sse" else framings.unidirectional_lines()
    return Unidirectional(wire, request, transport, first)


def check_connect(first: bytes) -> None:
    """Refuse what is no request of `connect`, with 400."""
    try:
        read_connect(first)
    except FormatError as error:
        raise Refused(400, f"the connect request is malformed: {str(error)[:200]}") from None


def media_type(content_type: str | None) -> str:
    """Return the media type that a Content-Type names, in lower case, without parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


endpoint = CentrifugeStreams()
