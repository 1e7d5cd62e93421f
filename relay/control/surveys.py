"""Surveys: one question to all gateways, and the replies of all of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Sequence

from relay.brokers import Published
from relay.control.messages import SurveyReply, SurveyRequest
from relay.control.nodes import KnownNodes
from relay.errors import RelayError

SURVEY_SECONDS = 1.0
"""How long a survey waits for replies."""

MAX_SURVEYS = 4
"""Surveys of this gateway at a time; more wait for their turn."""


class SurveyError(RelayError):
    """Not all gateways answered a survey in time.

    Args:
        answered: number of gateways that answered.
        asked: number of gateways that should have.
        seconds: how long the survey waited.
        missing: names of gateways that did not answer, as far as they are known.
    """

    def __init__(self, answered: int, asked: int, seconds: float, missing: Sequence[str] = ()) -> None:
        super().__init__(answered, asked, seconds, missing)
        self.answered = answered
        self.asked = asked
        self.seconds = seconds
        self.missing = missing

    def __str__(self) -> str:
        named = f"; missing: {', '.join(self.missing[:5])}" if self.missing else ""
        return f"only {self.answered} of {self.asked} gateways answered within {self.seconds:g} s{named}"


class Surveys:
    """The surveys of one gateway.

    A survey succeeds when all gateways have replied, and fails otherwise: a sum with a part missing would look like a
    complete one. It needs as many replies as the bus counted receivers of the request. Where the bus doesn't count all
    of them (`Broker.counts_all_receivers`), each known gateway must have replied as well.

    Args:
        uid: of this gateway.
        send: sends a request to all gateways; returns a future of how many have received it.
        nodes: the known gateways; None where the bus counts all receivers.
        seconds: how long a survey waits for replies.
    """

    def __init__(
        self,
        uid: str,
        send: Callable[[SurveyRequest], asyncio.Future[Published]],
        nodes: KnownNodes | None,
        seconds: float = SURVEY_SECONDS,
    ) -> None:
        self._uid = uid
        self._send = send
        self._nodes = nodes
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._surveys: dict[int, _Survey] = {}
        self._turns = asyncio.Semaphore(MAX_SURVEYS)

    def __len__(self) -> int:
        """Return how many surveys wait for replies."""
        return len(self._surveys)

    async def ask(self, pattern: str | None = None) -> list[SurveyReply]:
        """Ask all gateways about their channels, or about themselves; return the replies of all.

        Args:
            pattern: which channels, with `*`, `?` and `[...]`; None: about themselves.

        Raises:
            SurveyError: not all of them replied in time.
            PublishError: the request was not, or perhaps not, sent.
        """
        async with self._turns:
            number, nodes = next(self._numbers), self._nodes
            survey = self._surveys[number] = _Survey(
                self._loop.create_future(),
                missing=() if nodes is None else {self._uid, *nodes},
                at_once=nodes is None or nodes.settled,
            )
            try:
                published = await self._send(SurveyRequest(asker=self._uid, number=number, pattern=pattern))
                receivers = published.receivers
                survey.expect(receivers)
                await asyncio.wait((survey.finished,), timeout=self._seconds)
                self._check(survey, receivers)
                return survey.replies
            finally:
                del self._surveys[number]

    def add(self, reply: SurveyReply) -> None:
        """Note a reply; nothing happens when it comes too late."""
        if (survey := self._surveys.get(reply.number)) is not None:
            survey.add(reply)

    def drop(self, uid: str) -> None:
        """Wait no longer for a gateway, which has left."""
        for survey in self._surveys.values():
            survey.drop(uid)

    def _check(self, survey: _Survey, receivers: int) -> None:
        """Raise `SurveyError` when a gateway has not replied that should have."""
        nodes = self._nodes
        if nodes is None:
            # Without any receiver this gateway itself is deaf: it would not get a reply either.
            if not survey.complete or not receivers:
                raise SurveyError(len(survey.replies), receivers, self._seconds)
            return
        for uid in survey.missing - {self._uid, *nodes}:
            survey.drop(uid)  # its last announcement has expired meanwhile
        if not survey.complete:
            replied, missing = len(survey.replies), sorted(map(nodes.name, survey.missing))
            raise SurveyError(replied, max(receivers, replied + len(missing)), self._seconds, missing)


class _Survey:
    """One survey, which waits for replies.

    Args:
        finished: settled when it is complete.
        missing: uids of the gateways that must reply.
        at_once: whether it is complete as soon as they have; False: there may be gateways that are not known yet, so
            it takes all its time.

    Attributes:
        missing: those that have not replied yet.
        replies: in the order in which they came.
    """

    def __init__(self, finished: asyncio.Future[None], missing: Collection[str], at_once: bool) -> None:
        self.finished = finished
        self.missing = set(missing)
        self.replies: list[SurveyReply] = []
        self._at_once = at_once
        self._receivers: int | None = None

    @property
    def complete(self) -> bool:
        """Whether as many gateways have replied as the bus has counted, and each that must."""
        return self._receivers is not None and len(self.replies) >= self._receivers and not self.missing

    def expect(self, receivers: int) -> None:
        """Note how many gateways have received the request, as the bus counts; some may have replied already."""
        self._receivers = receivers
        self._finish()

    def add(self, reply: SurveyReply) -> None:
        self.replies.append(reply)
        if isinstance(reply.uid, str):
            self.missing.discard(reply.uid)
        self._finish()

    def drop(self, uid: str) -> None:
        self.missing.discard(uid)
        self._finish()

    def _finish(self) -> None:
        if self._at_once and self.complete and not self.finished.done():
            self.finished.set_result(None)
