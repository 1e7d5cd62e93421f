"""How bytes of the Centrifuge protocol go to one kind of client: a format, and what stands around its payloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Raw, UnsetType

from relay.member import Member, PresenceEvents
from relay.message import Message
from relay.protocols.centrifuge.formats import Format
from relay.protocols.centrifuge.json_payload import json_string
from relay.protocols.centrifuge.publications import publication_of
from relay.protocols.centrifuge.pushes import Join, Leave, Push
from relay.protocols.centrifuge.results import ClientInfo, Error, Publication, Result

Frame = Callable[[bytes], bytes]
"""Returns what carries a payload: a WebSocket's frame, a line, or an event."""


class Wire:
    """What all clients of one kind share; one object for each kind.

    Args:
        format: of what is in a payload.
        frame: see `Frame`.

    Attributes:
        format: see above.
        encode: encodes messages for the hub; those that the format can't carry become strings.
        encode_strictly: the same, and those that it can't carry are left out; see `relay.message.Encoder`.
        join_leave: how these clients hear who comes and who goes.
        ping: what is written to learn whether the client is there.
    """

    __slots__ = ("_frame", "encode", "encode_strictly", "format", "join_leave", "ping")

    def __init__(self, format: Format, frame: Frame) -> None:
        self._frame = frame
        self.format = format
        self.ping = frame(format.join([format.ping]))
        self.join_leave = JoinLeave(self)
        # Each a function object that stays the same: clients are grouped by it.
        self.encode = self._encode
        self.encode_strictly = self._encode_strictly

    def reply(self, id_: int, result: Result) -> bytes:
        """Return the reply to a command."""
        return self.framed([self.format.reply(id_, result)])

    def refusal(self, id_: int, error: Error) -> bytes:
        """Return the reply to a command that has failed."""
        return self.framed([self.format.refusal(id_, error)])

    def push(self, channel: str, push: Push) -> bytes:
        """Return a push of a channel; "": of none."""
        return self.framed([self.format.push(channel, push)])

    def framed(self, parts: Sequence[bytes]) -> bytes:
        """Return replies and pushes as they are written, together."""
        return self._frame(self.format.join(parts))

    def publication(self, message: Message) -> Publication:
        """Return a message of a history; a payload that the format can't carry becomes a string."""
        data = self.format.data(message.payload)
        return publication_of(message, json_string(message.payload) if data is None else data)

    def client_info(self, member: Member) -> ClientInfo:
        """Return what others see of a client."""
        info, channel_info = self.data(_bytes(member.info)), self.data(_bytes(member.channel_info))
        return ClientInfo(member.user or "", member.client, info, channel_info)

    def data(self, payload: bytes | None) -> Raw | None:
        """Return JSON of a back end as it goes to these clients; None: there is none."""
        data = None if payload is None else self.format.data(payload)
        return None if data is None else Raw(data)

    def _encode(self, message: Message) -> bytes:
        return self.framed([self.format.publication(message)])

    def _encode_strictly(self, message: Message) -> bytes:
        data = self.format.data(message.payload)
        return b"" if data is None else self.framed([self.format.publication(message, data)])


def _bytes(info: Raw | UnsetType) -> bytes | None:
    return None if isinstance(info, UnsetType) else bytes(info)


class JoinLeave:
    """See `relay.protocols.PresenceFormat`; one object for each wire.

    Args:
        wire: of these clients.
    """

    __slots__ = ("_wire",)

    begun = b""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def encode(self, events: PresenceEvents) -> bytes:
        """Return a push for each that has gone or come."""
        wire = self._wire
        pushes: list[Push] = [Leave(wire.client_info(member)) for member in events.left]
        pushes += [Join(wire.client_info(member)) for member in events.joined]
        return wire.framed([wire.format.push(events.channel, push) for push in pushes]) if pushes else b""
