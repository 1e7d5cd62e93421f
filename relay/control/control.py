"""A gateway's ear and voice on the control channels."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection

from relay.control.disconnects import Client, Disconnector
from relay.control.messages import (
    CONTROL_CHANNEL,
    DisconnectCommand,
    NodeInfo,
    SurveyReply,
    SurveyRequest,
    UnsubscribeCommand,
    decode,
    decode_answer,
    encode,
    inbox,
)
from relay.control.responder import SurveyResponder
from relay.control.survey import Survey
from relay.errors import ControlMessageError, PublishError, SubscribeError, SurveyError
from relay.logs import Logger
from relay.message import Message
from relay.node import Node
from relay.version import __version__

SURVEY_SECONDS = 1.0
"""How long answers are waited for."""

MAX_SURVEYS = 4
"""Questions of this gateway at a time; more wait for their turn."""

log = Logger("relay.control")


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
        self._closing = Disconnector(clients, node.id)
        self._numbers = itertools.count(1)
        self._surveys: dict[int, Survey] = {}
        self._turns = asyncio.Semaphore(MAX_SURVEYS)
        self._answering = SurveyResponder(node.hub, self._about, self._reply)
        self.uid = node.id.hex()

    def start(self, name: str) -> None:
        """Listen, for as long as the node lives.

        Args:
            name: of this gateway, for people.
        """
        self._name = name
        for channel, handler in ((CONTROL_CHANNEL, self._hear), (inbox(self.uid), self._hear_answer)):
            self._node.listen(channel, handler).add_done_callback(_report_refusal)

    def stop(self) -> None:
        """Do nothing more."""
        self._closing.stop()
        self._answering.stop()

    def send(self, command: DisconnectCommand | UnsubscribeCommand) -> asyncio.Future[int]:
        """Give an order to all gateways, this one included.

        Returns:
            A future of how many have heard it; see `Node.submit`.
        """
        return self._node.submit(Message(CONTROL_CHANNEL, encode(command)))

    async def survey(self, pattern: str | None = None) -> list[SurveyReply]:
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
                question = SurveyRequest(asker=self.uid, number=number, pattern=pattern)
                asked = await self._node.submit(Message(CONTROL_CHANNEL, encode(question)))
                survey.expect(asked)
                await asyncio.wait((survey.finished,), timeout=SURVEY_SECONDS)
                # Nobody: this gateway is deaf, so it wouldn't hear an answer either.
                if not survey.finished.done() or not asked:
                    raise SurveyError(len(survey.answers), asked, SURVEY_SECONDS)
                return survey.answers
            finally:
                del self._surveys[number]

    def _hear(self, message: Message) -> None:
        """Obey an order, or note a question."""
        try:
            order = decode(message.payload)
            if isinstance(order, SurveyRequest):
                self._answering.add(order)
            else:
                self._closing.add(order)
        except ControlMessageError as error:
            self._refuse(error)

    def _hear_answer(self, message: Message) -> None:
        """Take an answer, if this gateway has asked something."""
        if not self._surveys:
            return
        try:
            answer = decode_answer(message.payload)
        except ControlMessageError as error:
            self._refuse(error)
            return
        if (survey := self._surveys.get(answer.number)) is not None:
            survey.add(answer)

    def _refuse(self, error: ControlMessageError) -> None:
        self._node.counters.bus_errors += 1
        log.warning("control message refused", error=str(error))

    def _reply(self, asker: str, answer: SurveyReply) -> None:
        self._node.submit(Message(inbox(asker), encode(answer))).add_done_callback(_report_failure)

    def _about(self) -> NodeInfo:
        clients = self._clients
        return NodeInfo(
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
