"""A client of the Centrifuge protocol that talks with a session of its world: no socket, but everything behind it."""

from __future__ import annotations

import asyncio
from typing import Any

from relay.auth.authenticator import ANONYMOUS
from relay.clients.connecting import unknown
from relay.clients.multiplexed_session import MultiplexedSession
from relay.errors import CustomDisconnect, Disconnect, ProtocolError
from relay.message import Kind, Message
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from relay.protocols.centrifuge import json_wire, protobuf_wire
from relay.protocols.centrifuge.connection import Centrifuge
from tests.centrifuge.oracle.wire import WIRES, Json
from tests.clients.recorder import Recorder
from tests.clients.session_world import OPENING, World
from tests.harness.conditions import wait_until
from tests.harness.whole_frames import frames_of

BAD_REQUEST = (3501, "bad request")


REQUESTS: dict[str, dict[str, Any]] = {
    "subscribe": {"channel": "a"},
    "unsubscribe": {"channel": "a"},
    "publish": {"channel": "a", "data": 1},
    "presence": {"channel": "a"},
    "presence_stats": {"channel": "a"},
    "history": {"channel": "a"},
    "rpc": {"method": "m"},
    "refresh": {"token": "t"},
    "sub_refresh": {"channel": "a", "token": "t"},
}


OPTIONS = Namespaces(
    ChannelOptions(),
    {
        "kept": ChannelOptions(history_size=5, history_ttl=60),
        "counted": ChannelOptions(positions=True),
        "seen": ChannelOptions(presence=True, join_leave=True),
        "delta": ChannelOptions(history_size=5, delta=True),
        "cache": ChannelOptions(history_size=5, cache=True),
        "string": ChannelOptions(no_json="string"),
        "asked": ChannelOptions(history_size=5, presence=True, subscriber_rights="wph"),
        "small": ChannelOptions(max_message_bytes=10),
    },
)


class Talker(Recorder):
    """The client's end of the connection.

    Attributes:
        ended: code and reason with which it was closed; None: it is open.
        to_be_closed: why it will be closed, some time after a gap; see `relay.clients.missed_messages`.
        counted: as how many messages more than it was what it has said counts.
    """

    session: MultiplexedSession

    def __init__(self, session: MultiplexedSession, world: World) -> None:
        self.counted = 0
        self._held: list[bytes] | None = None
        self.ended: tuple[int, str] | None = None
        self.to_be_closed: Disconnect | None = None
        super().__init__(session, world.registry)

    def hold_deliveries(self) -> None:
        """See `MultiplexedClient`, as for the next."""
        self._held = []

    def reply(self, data: bytes) -> bool:
        held, self._held = self._held, None
        for one in (data, *(held or ())):
            self.send(one)
        return False

    def take_turn(self) -> None:
        """See `CommandTurns`, as for the next."""
        asyncio.get_running_loop().call_soon(self._give_turn)

    def count(self, messages: int) -> None:
        self.counted += messages

    def _give_turn(self) -> None:
        if self.ended is None:
            try:
                self.count(self.session.give_turn())
            except ProtocolError as error:
                self.close(error.disconnect)

    def deliver(self, data: bytes, count: int) -> None:
        self.send(data)

    def send(self, data: bytes) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def missed(self, channel: str, position: Position | None) -> None:
        told = self.session.protocol.missed(self.session, channel, position)
        if isinstance(told, Disconnect):
            self.to_be_closed = told
        elif told:
            self.send(told)

    def close_in_turn(self) -> None:
        self.to_be_closed = Disconnect.MISSED

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        if self.ended is None:
            super().close(why)
            closing = self.session.protocol.closing(why)
            self.ended = closing.code, closing.reason
            self.leave()

    def refresh(self, expires_at: float | None) -> None:
        raise AssertionError("only a real client is refreshed")


class Conversation:
    """A client, and what is said.

    Args:
        world: of the client.
        format: "json" or "protobuf".
        connected: whether it has said `connect`, and was answered.

    Attributes:
        replies: to commands, in order.
        pushes: in order.
        everything: the two, and pings, in order.
    """

    def __init__(self, world: World, format: str = "json", *, connected: bool = True) -> None:
        self.world = world
        self._wire = WIRES[format]
        self.protocol = Centrifuge(json_wire() if format == "json" else protobuf_wire(), OPENING)
        self.session = MultiplexedSession(world.context, unknown(world.now), self.protocol)
        self.client = Talker(self.session, world)
        self.protocol.opened(self.session, None)
        self._read = 0
        self._everything: list[Json] = []
        self._id = 0
        if connected:
            world.identities.setdefault(None, ANONYMOUS)
            assert self.reply(self.begin(connect={}))["connect"]["client"] == self.session.id.hex()

    @property
    def everything(self) -> list[Json]:
        """All that was told."""
        for data in self.client.sent[self._read :]:
            for opcode, payload in frames_of(data):
                self._everything += self._wire.read(payload.decode() if opcode == 1 else payload)
        self._read = len(self.client.sent)
        return self._everything

    @property
    def replies(self) -> list[Json]:
        """Replies to commands."""
        return [one for one in self.everything if "id" in one]

    @property
    def pushes(self) -> list[Json]:
        """What no command has asked for."""
        return [one["push"] for one in self.everything if "push" in one]

    @property
    def ended(self) -> tuple[int, str] | None:
        """Code and reason with which the client was closed; None: it is open."""
        return self.client.ended

    def say(self, *commands: Json) -> None:
        """Send commands in one message."""
        written = self._wire.write(list(commands))
        self.send(written.encode() if isinstance(written, str) else written)

    def send(self, payload: bytes) -> None:
        """Send a message."""
        if self.ended is not None:
            return
        try:
            self.protocol.received(self.session, self.protocol.wire.format.kind, payload)
        except ProtocolError as error:
            self.client.close(error.disconnect)

    def begin(self, **request: Any) -> int:
        """Send a command; return its id."""
        self._id += 1
        self.say({"id": self._id, **request})
        return self._id

    async def ask(self, **request: Any) -> Json:
        """Send a command; return the reply to it, when it has come."""
        number = self.begin(**request)
        await wait_until(lambda: self.ended or any(one["id"] == number for one in self.replies))
        assert self.ended is None, self.ended
        return self.reply(number)

    def reply(self, number: int) -> Json:
        """Return the one reply to a command, without its id."""
        (found,) = (one for one in self.replies if one["id"] == number)
        return {name: value for name, value in found.items() if name != "id"}

    async def error(self, **request: Any) -> int:
        """Send a command; return the code of its error."""
        reply = await self.ask(**request)
        assert list(reply) == ["error"], reply
        code = reply["error"]["code"]
        assert isinstance(code, int)
        return code

    def leave(self) -> None:
        """Go."""
        if self.ended is None:
            self.client.leave()


def publish(world: World, channel: str, *payloads: bytes, kind: Kind = Kind.TEXT) -> None:
    """Publish messages as a back end does, and deliver them."""
    for payload in payloads:
        world.node.submit(Message(channel, payload, kind))
    world.node.hub.flush()


def a_world(**given: Any) -> World:
    """Return a world with all kinds of channels."""
    return World(**{"namespaces": OPTIONS, **given})
