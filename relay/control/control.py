"""A gateway's ear and voice on the control channels."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection

from relay.control.answering import Answering
from relay.control.disconnects import Client, Closing
from relay.control.messages import (
    EVERYBODY,
    About,
    Answer,
    Disconnect,
    OrderError,
    Question,
    Unsubscribe,
    decode,
    decode_answer,
    encode,
    inbox,
)
from relay.control.survey import Survey
from relay.errors import PublishError, SubscribeError
from relay.logs import Logger
from relay.message import Message
from relay.node import Node
from relay.version import __version__

SURVEY_SECONDS = 1.0
"""How long answers are waited for."""

MAX_SURVEYS = 4
"""Questions of this gateway at a time; more wait for their turn."""

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
    """Hears and gives orders, and asks and answers questions.

    Args:
        node: hub and broker of this gateway.
        clients: all that are here.
    """

    def __init__(self, node: Node, clients: Collection[Client]) -> None:
        self._node = node
        self._clients = clients
        self._name = ""
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._closing = Closing(clients, node.id)
        self._numbers = itertools.count(1)
        self._surveys: dict[int, Survey] = {}
        self._turns = asyncio.Semaphore(MAX_SURVEYS)
        self._answering = Answering(node.hub, self._about, self._reply)
        self.uid = node.id.hex()

    def start(self, name: str) -> None:
        """Listen, for as long as the node lives.

        Args:
            name: of this gateway, for people.
        """
        self._name = name
        for channel, handler in ((EVERYBODY, self._hear), (inbox(self.uid), self._hear_answer)):
            self._node.listen(channel, handler).add_done_callback(_report_refusal)

    def stop(self) -> None:
        """Do nothing more."""
        self._closing.stop()
        self._answering.stop()

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

    def _hear(self, message: Message) -> None:
        """Obey an order, or note a question."""
        try:
            order = decode(message.payload)
            if isinstance(order, Question):
                self._answering.add(order)
            else:
                self._closing.add(order)
        except OrderError as error:
            self._refuse(error)

    def _hear_answer(self, message: Message) -> None:
        """Take an answer, if this gateway has asked something."""
        if not self._surveys:
            return
        try:
            answer = decode_answer(message.payload)
        except OrderError as error:
            self._refuse(error)
            return
        if (survey := self._surveys.get(answer.number)) is not None:
            survey.add(answer)

    def _refuse(self, error: OrderError) -> None:
        self._node.counters.bus_errors += 1
        log.warning("control message refused", error=str(error))

    def _reply(self, asker: str, answer: Answer) -> None:
        self._node.submit(Message(inbox(asker), encode(answer))).add_done_callback(_report_failure)

    def _about(self) -> About:
        clients = self._clients
        return About(
            uid=self.uid,
            name=self._name,
            version=__version__,
            num_clients=len(clients),
            num_users=len({client.session.user for client in clients} - {None}),
            num_subs=sum(len(client.session.channels) for client in clients),
            num_channels=len(self._node.hub),
            uptime=int(self._loop.time() - self._started_at),
        )


def _report_refusal(acknowledged: asyncio.Future[None]) -> None:
    if not acknowledged.cancelled() and isinstance(error := acknowledged.exception(), SubscribeError):
        # The server API can't reach clients of this gateway.
        log.error("control channel refused", error=str(error))


def _report_failure(receivers: asyncio.Future[int]) -> None:
    if isinstance(error := receivers.exception(), PublishError):
        log.warning("answer to another gateway lost", error=str(error))
