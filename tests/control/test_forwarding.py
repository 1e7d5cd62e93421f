"""What clients say by requests of their own, on its way to the gateway that has their stream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.brokers import Published
from relay.control.forwarding import MAX_FORWARDED_BYTES, Forwarding, UnknownNode
from relay.control.messages import (
    MAX_INBOX_BYTES,
    ControlMessageError,
    EmulationCommand,
    NodeAnnouncement,
    SurveyReply,
    decode_inbox,
    encode,
    inbox,
)
from relay.control.nodes import KnownNodes
from relay.errors import BusUnavailable
from relay.message import Message

OWN, OTHER = "0" * 16, "1" * 16


class World:
    """One gateway's side, and what it has said and heard.

    Args:
        receivers: how many gateways the bus counts.
        nodes: the gateways that are known; None where the bus counts them.
    """

    def __init__(self, receivers: int = 1, nodes: KnownNodes | None = None) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.sent: list[Message] = []
        self._receivers = receivers
        self.forwarding = Forwarding(OWN, lambda session, data: self.taken.append((session, data)), nodes)

    async def publish(self, message: Message) -> Published:
        """Take a message for the bus."""
        self.sent.append(message)
        return Published(self._receivers)

    async def send(self, node: str, session: str = "s", data: bytes = b"{}") -> None:
        """Hand commands over."""
        await self.forwarding.send(node, session, data, self.publish)


async def test_a_client_of_this_gateway_is_told_at_once() -> None:
    world = World()
    await world.send(OWN)
    assert (world.taken, world.sent) == ([("s", b"{}")], [])


async def test_that_of_another_one_over_its_inbox() -> None:
    world = World()
    await world.send(OTHER, "s", b"\xff\0")
    ((message,), taken) = world.sent, world.taken
    assert (message.channel, taken) == (inbox(OTHER), [])
    assert Forwarding.is_one(message.payload)
    received = decode_inbox(message.payload)
    assert received == EmulationCommand(session="s", data=b"\xff\0")
    assert isinstance(received, EmulationCommand)
    world.forwarding.receive(received)
    assert world.taken == [("s", b"\xff\0")]


async def test_where_the_bus_counts_nobody_there_is_no_such_gateway() -> None:
    world = World(receivers=0)
    with pytest.raises(UnknownNode):
        await world.send(OTHER)


async def test_where_gateways_announce_themselves_those_that_don_t_are_unknown() -> None:
    now = 0.0
    nodes = KnownNodes(OWN, lambda: now, announce_seconds=1.0)
    world = World(receivers=0, nodes=nodes)
    await world.send(OTHER)  # it may be one that has not been heard of yet
    nodes.announced(OWN, "own")
    now = 2.5
    nodes.announced(OWN, "own")
    with pytest.raises(UnknownNode):
        await world.send(OTHER)
    nodes.announced(OTHER, "other")
    await world.send(OTHER)
    assert len(world.sent) == 2


@pytest.mark.parametrize("node", ["", "x", OTHER + "0", OTHER.replace("1", "A"), OTHER + "\n", "*" * 16])
async def test_what_is_no_id_never_reaches_the_bus(node: str) -> None:
    world = World()
    with pytest.raises(UnknownNode):
        await world.send(node)
    assert world.sent == []


async def test_a_token_that_is_too_long_names_nobody() -> None:
    world = World()
    await world.send(OTHER, "x" * 65)
    assert world.sent == []


async def test_a_failure_of_the_bus_is_passed_on() -> None:
    async def fail(message: Message) -> Published:
        raise BusUnavailable("away")

    with pytest.raises(BusUnavailable):
        await World().forwarding.send(OTHER, "s", b"", fail)


def test_the_largest_one_fits() -> None:
    data = encode(EmulationCommand(session="\x01" * 64, data=b"\xff" * MAX_FORWARDED_BYTES))
    assert len(data) < MAX_INBOX_BYTES
    decode_inbox(data)


def test_other_messages_are_told_apart_unread() -> None:
    assert not Forwarding.is_one(encode(SurveyReply(number=1)))
    assert not Forwarding.is_one(encode(NodeAnnouncement(uid=OTHER, name="x")))


@given(st.binary() | st.builds(lambda rest: b'{"order":"emulation"' + rest, st.binary()))
def test_nonsense_is_refused_and_nothing_but_that(data: bytes) -> None:
    try:
        decoded: Any = decode_inbox(data)
    except ControlMessageError:
        return
    assert isinstance(decoded, SurveyReply | NodeAnnouncement | EmulationCommand)
