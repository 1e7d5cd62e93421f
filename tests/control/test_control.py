"""Commands and surveys of one gateway, over the memory bus."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import UNSET
from websockets.frames import Close

from relay.auth.authenticator import Identity
from relay.brokers import BrokerOptions, Published
from relay.clients.emulated_streams import EmulatedStreams
from relay.clients.session import Session
from relay.control import Control
from relay.control.commands import DisconnectCommand, UnsubscribeCommand
from relay.control.messages import CONTROL_CHANNEL, NodeAnnouncement, NodeShutdown, SurveyReply, decode_inbox, inbox
from relay.control.responder import SurveyResponder
from relay.control.surveys import SURVEY_SECONDS, SurveyError
from relay.errors import BusUnavailable, CustomDisconnect, Disconnect, SubscribeError
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.position import Position
from relay.protocols.plain import Plain
from tests.clients.session_world import World
from tests.harness.conditions import wait_until


def make(survey_seconds: float = SURVEY_SECONDS) -> tuple[Node, Control]:
    """Return a node and its control."""
    node = Node(BrokerOptions("memory://"), Counters())
    return node, Control(node, [], EmulatedStreams().take_in, survey_seconds=survey_seconds)


def payload_only(message: Message) -> bytes:
    """Encode a message as its payload."""
    return message.payload


class Listener:
    """A client that can be closed as one with a WebSocket can."""

    echo = True

    def __init__(self, node: Node, user: str) -> None:
        self.session = Session(node, Identity(user), Plain("a", echo=True), None)
        self.id = self.session.id
        self.received = b""
        self.closed = False

    @property
    def encode(self) -> Encoder:
        return payload_only

    def deliver(self, data: bytes, count: int) -> None:
        self.received += data

    def missed(self, channel: str, position: Position | None) -> None:
        raise AssertionError(channel)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        Close(why.code, why.reason).serialize()
        self.closed = True

    def refresh(self, expires_at: float | None) -> None: ...


async def test_a_gateway_replies_to_itself() -> None:
    node, own = make()
    own.start("here")
    (reply,) = await own.survey()
    assert reply.about is not None
    assert (reply.about.name, reply.about.uid) == ("here", node.id.hex())
    (reply,) = await own.survey("*")
    assert reply.channels == {}


async def test_more_surveys_than_turns_wait() -> None:
    _node, own = make()
    own.start("here")
    replies = await asyncio.gather(*(own.survey() for _ in range(20)))
    assert [len(reply) for reply in replies] == [1] * 20
    assert not own._surveys


async def test_a_deaf_gateway_does_not_say_that_there_is_no_gateway() -> None:
    _node, own = make()
    with pytest.raises(SurveyError, match="0 of 0"):
        await own.survey()


async def test_missing_replies_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SurveyResponder, "add", lambda self, request: None)
    _node, own = make(survey_seconds=0.05)
    own.start("here")
    with pytest.raises(SurveyError, match="only 0 of 1 gateways answered"):
        await own.survey()
    assert not own._surveys


async def test_nonsense_on_the_channel_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    node, own = make()
    own.start("here")
    node.submit(Message(CONTROL_CHANNEL, b"nonsense"))
    await wait_until(lambda: node.counters.bus_errors == 1)
    assert "control message refused" in caplog.text
    assert len(await own.survey()) == 1


async def test_one_message_of_the_bus_is_one_message_whatever_it_holds(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred thousand line breaks were as many log entries, and stopped each gateway for seconds."""
    node, own = make()
    own.start("here")
    caplog.clear()
    for channel in (CONTROL_CHANNEL, inbox(own.uid)):
        node.receive(Message(channel, b"\n" * 100_000))
    assert node.counters.bus_errors == 1
    assert len(caplog.records) == 1
    assert node.channels == 0
    assert node.counters.messages_delivered == 0


async def test_replies_for_which_no_survey_waits_are_not_read() -> None:
    node, own = make()
    own.start("here")
    node.receive(Message(inbox(own.uid), b"nonsense"))
    assert node.counters.bus_errors == 0


async def test_nonsense_in_the_inbox_is_counted_and_does_not_end_a_survey() -> None:
    node, own = make()
    own.start("here")
    asked = asyncio.create_task(own.survey("*"))
    await asyncio.sleep(0)
    node.receive(Message(inbox(own.uid), b"nonsense"))
    assert len(await asked) == 1
    assert node.counters.bus_errors == 1


@pytest.mark.parametrize(
    "nonsense", [b'{"order":"disconnect","user":"\xff"}', b'{"order":"disconnect","user":"ann","code":99}']
)
async def test_nonsense_loses_neither_messages_of_clients_nor_later_commands(nonsense: bytes) -> None:
    """Every program that writes on the bus can send it; other messages come in the same tick."""
    node = Node(BrokerOptions("memory://"), Counters())
    clients = [Listener(node, user) for user in ("ann", "ann", "bob")]
    own = Control(node, clients, EmulatedStreams().take_in)
    own.start("here")
    node.claim("a")
    node.hub.add("a", clients[0])
    for message in (Message(CONTROL_CHANNEL, nonsense), Message("a", b"hello")):
        node.submit(message)
    await wait_until(lambda: clients[0].received == b"hello")
    await wait_until(lambda: not own._client_commands._timer)
    own.send(DisconnectCommand(user="bob"))
    await wait_until(lambda: clients[2].closed)
    assert not clients[0].closed
    assert not clients[1].closed


async def test_a_refused_channel_is_reported(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    node, own = make()

    def refuse(channel: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(SubscribeError(channel, "NOPERM"))
        return future

    monkeypatch.setattr(node._broker, "subscribe", refuse)
    own.start("here")
    await wait_until(lambda: "control channel refused" in caplog.text)


async def test_a_reply_that_is_lost_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, own = make(survey_seconds=0.05)
    own.start("here")
    submit = node.submit

    def lose(message: Message) -> asyncio.Future[Published]:
        if message.channel == CONTROL_CHANNEL:
            return submit(message)
        future: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        future.set_exception(BusUnavailable("away"))
        return future

    monkeypatch.setattr(node, "submit", lose)
    with pytest.raises(SurveyError):
        await own.survey()
    assert "answer to another gateway lost" in caplog.text


async def test_where_the_bus_counts_all_receivers_gateways_announce_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases that know no announcements would refuse, count and log each; and surveys don't need them."""
    node, own = make()
    sent: list[Message] = []
    submit = node.submit

    def keep(message: Message) -> asyncio.Future[Published]:
        sent.append(message)
        return submit(message)

    monkeypatch.setattr(node, "submit", keep)
    own.start("here")
    await own.survey()
    own.leave()
    assert [message.channel for message in sent] == [CONTROL_CHANNEL, inbox(own.uid)]
    reply = decode_inbox(sent[1].payload)
    assert isinstance(reply, SurveyReply)
    assert reply.uid is UNSET


async def test_announcements_are_not_used_where_the_bus_counts_all_receivers() -> None:
    node, own = make()
    own.start("here")
    for message in (NodeAnnouncement(uid="f" * 16, name="there"), NodeShutdown(uid=own.uid)):
        await own.send(message)
    (reply,) = await own.survey()
    assert reply.about is not None
    assert node.counters.bus_errors == 0


async def test_info_counts_the_subscriptions_of_all_clients() -> None:
    world = World()
    pairs = [world.join(identity=Identity(user)) for user in ("ann", "ann", "bob")]
    session = pairs[0][1]
    for _, one in pairs:
        one.subscribe("a", lambda result: None)
    for channel in ("b", "c"):
        session.subscribe(channel, lambda result: None)
    own = Control(world.node, [client for client, _ in pairs], EmulatedStreams().take_in)
    own.start("here")
    (reply,) = await own.survey()
    assert reply.about is not None
    counts = (reply.about.num_clients, reply.about.num_users, reply.about.num_subs, reply.about.num_channels)
    assert counts == (3, 2, 5, 3)
    (reply,) = await own.survey("[ab]")
    assert reply.channels == {"a": 3, "b": 1}
    own.send(UnsubscribeCommand(user="ann", channel="b"))
    await wait_until(lambda: sorted(session.channels) == ["a", "c"])
    (reply,) = await own.survey()
    assert reply.about is not None
    assert (reply.about.num_subs, reply.about.num_channels) == (4, 2)
