"""What clients say by requests of their own, on its way to the gateway that has their stream."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from relay.brokers import Published
from relay.control.messages import MAX_SESSION_LETTERS, EmulationCommand, encode, inbox
from relay.control.nodes import KnownNodes
from relay.errors import RelayError
from relay.message import Message

MAX_FORWARDED_BYTES: Final = 4 * 1024 * 1024
"""Of commands at a time: in the message to another gateway they take a third more, see `MAX_INBOX_BYTES`."""

_BEGINNING: Final = encode(EmulationCommand(session="", data=b"")).partition(b",")[0]
"""What each such message begins with."""

_UID: Final = re.compile(r"[0-9a-f]{16}")

Publish = Callable[[Message], Awaitable[Published]]
"""Gives a message to the bus; returns what that says of it, or raises `PublishError`."""


class UnknownNode(RelayError):
    """There is no gateway with an id."""

    def __str__(self) -> str:
        return "no such node"


class Forwarding:
    """Hands over what clients say.

    Args:
        uid: of this gateway.
        take_in: takes what a client of this gateway says, whom a token names; see `EmulatedStreams.take_in`.
        nodes: the known gateways; None where the bus counts all receivers of a message.
    """

    def __init__(self, uid: str, take_in: Callable[[str, bytes], object], nodes: KnownNodes | None) -> None:
        self._uid = uid
        self._take_in = take_in
        self._nodes = nodes

    async def send(self, node: str, session: str, data: bytes, publish: Publish) -> None:
        """Hand commands over to a gateway; what has come first gets there first.

        Args:
            node: uid of the gateway.
            session: token that names the client. The gateway that asks isn't told whether there is one.
            data: commands, at most `MAX_FORWARDED_BYTES`.
            publish: see `Publish`.

        Raises:
            UnknownNode: there is no such gateway.
            PublishError: the bus didn't, or perhaps didn't, take them.
        """
        if node == self._uid:
            self._take_in(session, data)
            return
        nodes = self._nodes
        if _UID.fullmatch(node) is None or (nodes is not None and nodes.settled and node not in nodes):
            raise UnknownNode
        if len(session) > MAX_SESSION_LETTERS:
            return
        published = await publish(Message(inbox(node), encode(EmulationCommand(session=session, data=data))))
        if nodes is None and not published.receivers:
            raise UnknownNode

    @staticmethod
    def is_one(payload: bytes) -> bool:
        """Return whether a message in the inbox may be of this kind; it is looked at before others are read."""
        return payload.startswith(_BEGINNING)

    def receive(self, command: EmulationCommand) -> None:
        """Take what another gateway has handed over."""
        self._take_in(command.session, command.data)
