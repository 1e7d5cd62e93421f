"""The multiplexed protocol of the tests, with clients that say who they are by a message.

{"connect": "token"}                                        what a client says, beside what it could say anyway
{"connected": 60}, {"connected": null} or {"refused": 401}  what it is told
"""

from __future__ import annotations

from functools import partial
from typing import cast

import msgspec

from relay.errors import Refused, RelayError
from relay.message import Kind
from relay.protocols import Session
from relay.protocols.multiplexed import ConnectGrant, MultiplexedSession
from relay.protocols.request import ConnectRequest
from tests.protocols.multiplexed import Multiplexed, MultiplexedEndpoint, frame


class ConnectCommand(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says."""

    connect: str


_DECODER = msgspec.json.Decoder(ConnectCommand)


class Connecting(Multiplexed):
    """The protocol."""

    __slots__ = ()

    connects_by_message = True

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Do what a client says."""
        try:
            said = _DECODER.decode(payload)
        except msgspec.DecodeError:
            super().received(session, kind, payload)
            return
        whole = cast(MultiplexedSession, session)
        opening = ConnectRequest("/connecting", {}, {}, "192.0.2.1")
        whole.connect(opening, said.connect, {}, partial(_tell, whole))


def _tell(session: MultiplexedSession, result: ConnectGrant | RelayError) -> None:
    if isinstance(result, Refused):
        session.send(frame({"refused": result.status}))
    elif isinstance(result, ConnectGrant):
        session.send(frame({"connected": result.seconds}))


class ConnectingEndpoint(MultiplexedEndpoint):
    """Where these clients connect; see `relay.protocols.Endpoint`."""

    protocol = Connecting()


endpoint = ConnectingEndpoint()
