"""The multiplexed protocol of the tests, with clients that say who they are by a message.

{"introduce": "token"}                                        what a client says, beside what it could say anyway
{"introduced": 60}, {"introduced": null} or {"refused": 401}  what it is told
"""

from __future__ import annotations

from functools import partial
from typing import cast

import msgspec

from relay.errors import Refused, RelayError
from relay.message import Kind
from relay.protocols import Session
from relay.protocols.multiplexed import Introduced, MultiplexedSession
from relay.protocols.request import ConnectRequest
from tests.protocols.multiplexed import Multiplexed, MultiplexedEndpoint, frame


class Introduction(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says."""

    introduce: str


_DECODER = msgspec.json.Decoder(Introduction)


class Introducing(Multiplexed):
    """The protocol."""

    __slots__ = ()

    introduces_itself = True

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Do what a client says."""
        try:
            said = _DECODER.decode(payload)
        except msgspec.DecodeError:
            super().received(session, kind, payload)
            return
        whole = cast(MultiplexedSession, session)
        opening = ConnectRequest("/introducing", {}, {}, "192.0.2.1")
        whole.introduce(opening, said.introduce, {}, partial(_tell, whole))


def _tell(session: MultiplexedSession, result: Introduced | RelayError) -> None:
    if isinstance(result, Refused):
        session.send(frame({"refused": result.status}))
    elif isinstance(result, Introduced):
        session.send(frame({"introduced": result.seconds}))


class IntroducingEndpoint(MultiplexedEndpoint):
    """Where these clients connect; see `relay.protocols.Endpoint`."""

    protocol = Introducing()


endpoint = IntroducingEndpoint()
