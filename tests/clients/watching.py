"""The multiplexed protocol of the tests, with clients that want to hear who comes and who goes."""

from __future__ import annotations

import json

from relay.member import Member, PresenceEvents
from relay.protocols import PresenceFormat
from tests.harness.whole_frames import frames_of
from tests.protocols.multiplexed import Multiplexed, frame


class Told:
    """How they are told; see `PresenceFormat`.

    Args:
        begun: what they are told when they hear everything; empty: nothing.
    """

    def __init__(self, begun: bytes = b"") -> None:
        self.begun = begun

    def encode(self, events: PresenceEvents) -> bytes:
        """Return a frame for each event."""
        told = [("leave", one) for one in events.left] + [("join", one) for one in events.joined]
        return b"".join(frame({act: _name(one), "channel": events.channel}) for act, one in told)


def _name(member: Member) -> str:
    return member.user or member.client


class Watching(Multiplexed):
    """The protocol; its clients aren't told that they hear everything."""

    __slots__ = ()

    presence: PresenceFormat | None = Told()


class WatchingAll(Watching):
    """The protocol; its clients are told it."""

    __slots__ = ()

    presence = Told(frame({"begun": True}))


def said(sent: list[bytes]) -> list[dict[str, object]]:
    """Return what a client was told."""
    return [json.loads(payload) for data in sent for _, payload in frames_of(data)]
