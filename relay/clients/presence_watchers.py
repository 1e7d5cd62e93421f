"""Clients that hear who comes to their channel, and who goes.

A gateway hears that from the bus, on a channel of the relay's own beside each channel with such clients. What the bus
brings is encoded once for each wire format, and written in order with the messages of the channel.

A client is told from when on it hears everything: at first, and again after each gap of the bus. So it knows when to
look anew who is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from relay.channel import EVENTS
from relay.interest import Acknowledged, Interest
from relay.logs import Logger
from relay.member import PresenceEvents
from relay.message import Message
from relay.node import Node
from relay.protocols import PresenceFormat

log = Logger("relay.presence")

_decoder = msgspec.json.Decoder(PresenceEvents)


class Watcher(Protocol):
    """A client; see `relay.clients.client`."""

    def send(self, data: bytes) -> None:
        """Write bytes, in order with what is delivered."""


@dataclass(slots=True, eq=False)
class _Watched:
    """A channel that is watched.

    Args:
        channel: its name.
        interest: in the channel of the relay's own that tells of it.
        acknowledged: see `Node.claim`.
        begun: whether the bus brings what is told.
        groups: the clients, by wire format.
    """

    channel: str
    interest: Interest
    acknowledged: Acknowledged
    begun: bool = False
    groups: dict[PresenceFormat, dict[Watcher, None]] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the bus has refused to bring anything."""
        return self.acknowledged.done() and _failed(self.acknowledged)

    def settle(self, acknowledged: Acknowledged) -> None:
        """Tell the clients that the bus brings everything from now on; nothing is told while it refuses to."""
        if _failed(acknowledged):
            log.warning("joins and leaves refused by the bus", channel=self.channel)
        else:
            self.tell()

    def tell(self) -> None:
        """Tell the clients that they hear everything from now on."""
        self.begun = True
        for wire_format, group in self.groups.items():
            if wire_format.begun:
                _send(group, wire_format.begun)


class PresenceWatchers:
    """All such clients of a gateway.

    Args:
        node: hub and broker.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._channels: dict[str, _Watched] = {}

    def __len__(self) -> int:
        """Return the number of clients."""
        return sum(len(group) for watched in self._channels.values() for group in watched.groups.values())

    def add(self, client: Watcher, channel: str, wire_format: PresenceFormat) -> bytes:
        """Tell a client who comes to a channel and who goes.

        Returns:
            What it is told at once, to be written in this step.
        """
        watched = self._channels.get(channel)
        if watched is None:
            watched = self._channels[channel] = self._watch(channel)
        elif watched.refused:
            self._watch_again(watched)
        watched.groups.setdefault(wire_format, {})[client] = None
        return wire_format.begun if watched.begun else b""

    def discard(self, client: Watcher, channel: str, wire_format: PresenceFormat) -> None:
        """Tell a client nothing more; nothing happens when it isn't told."""
        watched = self._channels.get(channel)
        if watched is None or client not in watched.groups.get(wire_format, ()):
            return
        del watched.groups[wire_format][client]
        if not watched.groups[wire_format]:
            del watched.groups[wire_format]
        if not watched.groups:
            del self._channels[channel]
            watched.interest.forget(watched.acknowledged, watched.settle)
            self._node.hub.unlisten(watched.interest.channel)
            self._node.release(watched.interest)

    def gap(self, channels: Iterable[str]) -> None:
        """Be told that something of channels may have been missed; see `Node.watch_missed`."""
        for name in channels:
            watched = self._channels.get(name.removeprefix(EVENTS)) if name.startswith(EVENTS) else None
            if watched is not None:
                watched.tell()

    def _watch(self, channel: str) -> _Watched:
        """Begin to hear who comes to a channel and who goes."""
        interest, acknowledged = self._node.claim(EVENTS + channel)
        watched = _Watched(channel, interest, acknowledged)
        self._node.hub.listen(interest.channel, self._receive)
        _await(watched)
        return watched

    def _watch_again(self, watched: _Watched) -> None:
        """Ask the bus again, which has refused: it may take it by now."""
        before = watched.interest
        watched.interest, watched.acknowledged = self._node.claim(before.channel)
        self._node.release(before)
        _await(watched)

    def _receive(self, message: Message) -> None:
        watched = self._channels.get(message.channel.removeprefix(EVENTS))
        if watched is None:
            return
        try:
            events = _decoder.decode(message.payload)
            written = {wire_format: wire_format.encode(events) for wire_format in watched.groups}
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            # Whatever another program has published: raised on, it would close the link of all channels.
            self._node.counters.bus_errors += 1
            log.warning("joins and leaves can't be read", channel=watched.channel, error=str(error))
            return
        self._node.counters.presence_events += len(events.left) + len(events.joined)
        self._node.hub.flush_channel(watched.channel)
        for wire_format, data in written.items():
            _send(watched.groups.get(wire_format, {}), data)


def _failed(acknowledged: Acknowledged) -> bool:
    return acknowledged.cancelled() or acknowledged.exception() is not None


def _await(watched: _Watched) -> None:
    """Let the clients of a channel be told when the bus has answered."""
    if watched.acknowledged.done():
        watched.settle(watched.acknowledged)
    else:
        watched.interest.wait(watched.acknowledged, watched.settle)


def _send(group: dict[Watcher, None], data: bytes) -> None:
    """Write the same bytes to clients, which may leave meanwhile; a fault in one costs the others nothing."""
    for client in list(group):
        try:
            client.send(data)
        except Exception:
            log.exception("joins and leaves not written")
