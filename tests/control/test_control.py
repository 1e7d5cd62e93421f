"""A gateway's ear and voice on the control channels, over the memory bus."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Close

from relay.auth.authenticator import Identity
from relay.brokers import BrokerOptions
from relay.clients.session import Session
from relay.control import Control, control
from relay.control.messages import CONTROL_CHANNEL, DisconnectCommand, inbox
from relay.control.responder import SurveyResponder
from relay.errors import BusUnavailable, CustomDisconnect, Disconnect, SubscribeError, SurveyError
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.protocols.plain import Plain
from tests.harness.conditions import wait_until


def make() -> tuple[Node, Control]:
    """Return a node and its control."""
    node = Node(BrokerOptions("memory://"), Counters())
    return node, Control(node, [])


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
        return lambda message: message.payload

    def deliver(self, data: bytes, count: int) -> None:
        self.received += data

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        Close(why.code, why.reason).serialize()
        self.closed = True


async def test_a_gateway_answers_itself() -> None:
    node, own = make()
    own.start("here")
    (answer,) = await own.survey()
    assert answer.about is not None
    assert (answer.about.name, answer.about.uid) == ("here", node.id.hex())
    (answer,) = await own.survey("*")
    assert answer.channels == {}


async def test_more_questions_than_turns_wait() -> None:
    _node, own = make()
    own.start("here")
    answers = await asyncio.gather(*(own.survey() for _ in range(20)))
    assert [len(answer) for answer in answers] == [1] * 20
    assert not own._surveys


async def test_a_deaf_gateway_does_not_say_that_there_is_nobody() -> None:
    _node, own = make()
    with pytest.raises(SurveyError, match="0 of 0"):
        await own.survey()


async def test_missing_answers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SURVEY_SECONDS", 0.05)
    monkeypatch.setattr(SurveyResponder, "add", lambda self, question: None)
    _node, own = make()
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


async def test_answers_that_nobody_waits_for_are_not_read() -> None:
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
async def test_nonsense_loses_neither_messages_of_others_nor_later_orders(nonsense: bytes) -> None:
    """Whoever writes on the bus can send it; it comes with what else came in the same tick."""
    node = Node(BrokerOptions("memory://"), Counters())
    clients = [Listener(node, user) for user in ("ann", "ann", "bob")]
    own = Control(node, clients)
    own.start("here")
    node.claim("a")
    node.hub.add("a", clients[0])
    for message in (Message(CONTROL_CHANNEL, nonsense), Message("a", b"hello")):
        node.submit(message)
    await wait_until(lambda: clients[0].received == b"hello")
    await wait_until(lambda: not own._closing._timer)
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


async def test_an_answer_that_is_lost_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "SURVEY_SECONDS", 0.05)
    node, own = make()
    own.start("here")
    submit = node.submit

    def lose(message: Message) -> asyncio.Future[int]:
        if message.channel == CONTROL_CHANNEL:
            return submit(message)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_exception(BusUnavailable("away"))
        return future

    monkeypatch.setattr(node, "submit", lose)
    with pytest.raises(SurveyError):
        await own.survey()
    assert "answer to another gateway lost" in caplog.text
