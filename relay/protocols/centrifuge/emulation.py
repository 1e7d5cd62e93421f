"""Requests by which clients speak whose connection carries only what they are told."""

from __future__ import annotations

from typing import Final

import msgspec

from relay.protocols.centrifuge.formats import FormatError

PATH: Final = "/emulation"
"""Where such requests go."""


class EmulationRequest(msgspec.Struct, frozen=True, gc=False):
    """Commands of a client.

    Args:
        session: names the client, and is known to it alone.
        node: names the gateway that has its connection.
        data: commands, as a WebSocket message would have them.
    """

    session: str
    node: str
    data: bytes


class _Json(msgspec.Struct, frozen=True, gc=False):
    """The same in JSON, where the commands are a string: there may be several lines of them."""

    session: str = ""
    node: str = ""
    data: str = ""


_decode: Final = msgspec.json.Decoder(_Json).decode


def read_json(body: bytes) -> EmulationRequest:
    """Read a request in JSON; raises `FormatError` when it is malformed."""
    try:
        request = _decode(body)
        return EmulationRequest(request.session, request.node, request.data.encode())
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(str(error)) from None


def read_protobuf(body: bytes) -> EmulationRequest:
    """Read a request in Protobuf, whose library is loaded now; raises `FormatError` when it is malformed."""
    from google.protobuf.message import DecodeError

    from relay.protocols.centrifuge import client_pb2

    try:
        request = client_pb2.EmulationRequest.FromString(body)
    except (DecodeError, UnicodeDecodeError) as error:  # the latter where Protobuf's library is in Python
        raise FormatError(str(error)) from None
    return EmulationRequest(request.session, request.node, request.data)
