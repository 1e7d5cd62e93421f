"""A gateway's ear and voice on the control channels."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from relay.control.closing import Client, Closing
from relay.control.orders import (
    EVERYBODY,
    About,
    Answer,
    AnyOrder,
    Disconnect,
    OrderError,
    Question,
    Unsubscribe,
    decode_lines,
    encode,
    encode_line,
    inbox,
)
from relay.control.survey import Survey
from relay.errors import PublishError, SubscribeError
from relay.hub import Encoder
from relay.logs import Logger
from relay.message import Message
from relay.node import Node
from relay.version import __version__

SURVEY_SECONDS = 1.0
"""How long answers are waited for."""

MAX_SURVEYS = 4
"""Questions of this gateway at a time; more wait for their turn."""

MAX_CHANNELS = 10_000
"""Channels that one gateway names in an answer."""

log = Logger("relay.control")


class SurveyError(Exception):
    """Not all gateways have answered in time.

    Args:
        answered: number of those that have.
        asked: number of those that heard the question.
    """

    def __init__(self, answered: int, asked: int) -> None:
        super().__init__(answered, asked)
        self.answered = answered
        self.asked = asked

    def __str__(self) -> str:
        return f"only {self.answered} of {self.asked} gateways answered within {SURVEY_SECONDS:g} s"


class Control:
    """Hears and gives orders, and asks and answers questions. A subscriber of the hub like any client.

    Args:
        node: hub and broker of this gateway.
        clients: returns all clients that are here now.
    """

    echo = True

    def __init__(self, node: Node, clients: Callable[[], Collection[Client]]) -> None:
        self._node = node
        self._clients = clients
        self._name = ""
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._closing = Closing(clients, node.id)
        self._numbers = itertools.count(1)
        self._surveys: dict[int, Survey] = {}
        self._turns = asyncio.Semaphore(MAX_SURVEYS)
        self.id = node.new_id()
        self.uid = node.id.hex()

    @property
    def encode(self) -> Encoder:
        """One line for each message; see `Subscriber`."""
        return encode_line

    def start(self, name: str) -> None:
        """Listen, for as long as the node lives.

        Args:
            name: of this gateway, for people.
        """
        self._name = name
        for channel in (EVERYBODY, inbox(self.uid)):
            self._node.listen(channel, self).add_done_callback(_report_refusal)

    def stop(self) -> None:
        """Do nothing more."""
        self._closing.stop()

    def give(self, order: Disconnect | Unsubscribe) -> asyncio.Future[int]:
        """Give an order to all gateways, this one included.

        Returns:
            A future of how many have heard it; see `Node.submit`.
        """
        return self._node.submit(Message(EVERYBODY, encode(order)))

    async def ask(self, pattern: str | None = None) -> list[Answer]:
        """Ask all gateways about their channels, or about themselves.

        Args:
            pattern: which channels; None: about themselves.

        Raises:
            SurveyError: not all of them answered in time.
            PublishError: the question was not, or perhaps not, asked.
        """
        async with self._turns:
            number = next(self._numbers)
            survey = self._surveys[number] = Survey(self._loop.create_future())
            try:
                question = Question(asker=self.uid, number=number, pattern=pattern)
                asked = await self._node.submit(Message(EVERYBODY, encode(question)))
                survey.expect(asked)
                await asyncio.wait((survey.finished,), timeout=SURVEY_SECONDS)
                # Nobody: this gateway is deaf, so it wouldn't hear an answer either.
                if not survey.finished.done() or not asked:
                    raise SurveyError(len(survey.answers), asked)
                return survey.answers
            finally:
                del self._surveys[number]

    def deliver(self, data: bytes, count: int) -> None:
        """Take what came on the control channels; see `Subscriber`."""
        counters = self._node.counters
        # The hub counts what it gives to clients; this was none of it.
        counters.messages_delivered -= count
        counters.deliveries -= count
        counters.bytes_delivered -= len(data)
        counters.writes -= 1
        for order in decode_lines(data):
            if isinstance(order, OrderError):
                counters.bus_errors += 1
                log.warning("control message refused", error=str(order))
            else:
                self._obey(order)

    def _obey(self, order: AnyOrder) -> None:
        match order:
            case Question():
                self._answer(order)
            case Answer():
                if (survey := self._surveys.get(order.number)) is not None:
                    survey.add(order)
            case _:
                self._closing.add(order)

    def _answer(self, question: Question) -> None:
        if question.pattern is None:
            answer = Answer(number=question.number, about=self._about())
        else:
            answer = Answer(number=question.number, channels=self._channels(question.pattern))
        self._node.submit(Message(inbox(question.asker), encode(answer))).add_done_callback(_report_failure)

    def _about(self) -> About:
        clients = self._clients()
        return About(
            uid=self.uid,
            name=self._name,
            version=__version__,
            num_clients=len(clients),
            num_users=len({client.identity.user for client in clients} - {None}),
            num_subs=len(clients),
            num_channels=len(self._node.hub.census()),
            uptime=int(self._loop.time() - self._started_at),
        )

    def _channels(self, pattern: str) -> dict[str, int] | None:
        found = {name: count for name, count in self._node.hub.census().items() if fnmatchcase(name, pattern)}
        return found if len(found) <= MAX_CHANNELS else None


def _report_refusal(acknowledged: asyncio.Future[None]) -> None:
    if not acknowledged.cancelled() and isinstance(error := acknowledged.exception(), SubscribeError):
        # The server API can't reach clients of this gateway.
        log.error("control channel refused", error=str(error))


def _report_failure(receivers: asyncio.Future[int]) -> None:
    if isinstance(error := receivers.exception(), PublishError):
        log.warning("answer to another gateway lost", error=str(error))
