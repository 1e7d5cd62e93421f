"""One question to all gateways, and their answers."""

from __future__ import annotations

import asyncio

from relay.control.messages import SurveyReply


class Survey:
    """Collects answers until every gateway that heard the question has given one.

    Args:
        finished: settled once all answers are there.

    Attributes:
        answers: in the order of their arrival.
    """

    def __init__(self, finished: asyncio.Future[None]) -> None:
        self.answers: list[SurveyReply] = []
        self.finished = finished
        self._expected: int | None = None

    def expect(self, answers: int) -> None:
        """Be told how many gateways have heard the question; some may have answered already."""
        self._expected = answers
        self._check()

    def add(self, answer: SurveyReply) -> None:
        """Take an answer."""
        self.answers.append(answer)
        self._check()

    def _check(self) -> None:
        if self._expected is not None and len(self.answers) >= self._expected and not self.finished.done():
            self.finished.set_result(None)
