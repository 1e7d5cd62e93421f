"""A gateway's ear and voice on the control channels, over the memory bus."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers import BrokerOptions
from relay.control import Control, control
from relay.control.control import SurveyError
from relay.control.orders import EVERYBODY
from relay.counters import Counters
from relay.errors import BusUnavailable, SubscribeError
from relay.message import Message
from relay.node import Node
from tests.harness.conditions import wait_until


def make() -> tuple[Node, Control]:
    """Return a node and its control."""
    node = Node(BrokerOptions("memory://"), Counters())
    return node, Control(node, list)


async def test_a_gateway_answers_itself() -> None:
    node, own = make()
    own.start("here")
    (answer,) = await own.ask()
    assert answer.about is not None
    assert (answer.about.name, answer.about.uid) == ("here", node.id.hex())
    (answer,) = await own.ask("*")
    assert answer.channels == {}


async def test_more_questions_than_turns_wait() -> None:
    _node, own = make()
    own.start("here")
    answers = await asyncio.gather(*(own.ask() for _ in range(20)))
    assert [len(answer) for answer in answers] == [1] * 20
    assert not own._surveys


async def test_a_deaf_gateway_does_not_say_that_there_is_nobody() -> None:
    _node, own = make()
    with pytest.raises(SurveyError, match="0 of 0"):
        await own.ask()


async def test_missing_answers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SURVEY_SECONDS", 0.05)
    monkeypatch.setattr(Control, "_answer", lambda self, question: None)
    _node, own = make()
    own.start("here")
    with pytest.raises(SurveyError, match="only 0 of 1 gateways answered"):
        await own.ask()
    assert not own._surveys


async def test_nonsense_on_the_channel_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    node, own = make()
    own.start("here")
    node.submit(Message(EVERYBODY, b"nonsense"))
    await wait_until(lambda: node.counters.bus_errors == 1)
    assert "control message refused" in caplog.text
    assert len(await own.ask()) == 1


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
        if message.channel == EVERYBODY:
            return submit(message)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_exception(BusUnavailable("away"))
        return future

    monkeypatch.setattr(node, "submit", lose)
    with pytest.raises(SurveyError):
        await own.ask()
    assert "answer to another gateway lost" in caplog.text
