"""Who is on a channel, in the shape of Centrifugo's client infos."""

from __future__ import annotations

from collections.abc import Iterable

from relay.member import Member
from relay.web.api.results import ClientInfo, PresenceResult


def to_result(members: Iterable[Member]) -> PresenceResult:
    """Return members of a channel as back ends get them."""
    return PresenceResult({member.client: _to_info(member) for member in members})


def _to_info(member: Member) -> ClientInfo:
    """Return a member as back ends get it; a client without a user has the empty one, as with Centrifugo."""
    return ClientInfo(user=member.user or "", client=member.client, conn_info=member.info)
