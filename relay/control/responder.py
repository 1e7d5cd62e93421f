"""Answering the questions of other gateways, without keeping the clients waiting."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import translate
from itertools import islice

from relay.control.messages import MAX_CHANNELS, NodeInfo, SurveyReply, SurveyRequest
from relay.errors import ControlMessageError
from relay.hub import Hub

MAX_WAITING = 1000
"""Questions that wait for their answers. A gateway has four at a time, so that is enough for 250 gateways."""

NAMES_PER_TICK = 500
"""Names that are compared with a pattern before all else has its turn: half a millisecond, and 30 at the very worst
(a name and a pattern of 255 bytes, made for it)."""


class SurveyResponder:
    """Answers questions one after the other, a little in each tick.

    Args:
        hub: knows the channels.
        about: describes this gateway.
        reply: sends an answer; gets the id of the gateway that has asked.
    """

    def __init__(self, hub: Hub, about: Callable[[], NodeInfo], reply: Callable[[str, SurveyReply], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._hub = hub
        self._about = about
        self._reply = reply
        self._waiting: deque[SurveyRequest] = deque()
        # The question that is being answered: names not looked at yet, and what was found.
        self._names: Iterator[str] = iter(())
        self._found: dict[str, int] = {}
        self._running = False

    def add(self, question: SurveyRequest) -> None:
        """Answer a question, soon.

        Raises:
            ControlMessageError: too many are waiting.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise ControlMessageError(f"more than {MAX_WAITING} questions at a time")
        self._waiting.append(question)
        if not self._running:
            self._running = True
            self._begin()

    def stop(self) -> None:
        """Forget all questions."""
        self._waiting.clear()

    def _begin(self) -> None:
        """Turn to the oldest question."""
        if not self._waiting:
            self._running = False
        elif self._waiting[0].pattern is None:
            question = self._waiting.popleft()
            self._reply(question.asker, SurveyReply(number=question.number, about=self._about()))
            self._loop.call_soon(self._begin)
        else:
            self._names, self._found = iter(self._hub.channels), {}
            self._compare(re.compile(translate(self._waiting[0].pattern)))

    def _compare(self, pattern: re.Pattern[str]) -> None:
        """Compare some names with the pattern of the oldest question; answer it after the last one."""
        if not self._waiting:
            self._running = False
            return
        names = list(islice(self._names, NAMES_PER_TICK))
        for name in names:
            if pattern.match(name) and (count := self._hub.subscribers(name)):
                self._found[name] = count
        if len(names) == NAMES_PER_TICK and len(self._found) <= MAX_CHANNELS:
            self._loop.call_soon(self._compare, pattern)
            return
        question = self._waiting.popleft()
        found = self._found if len(self._found) <= MAX_CHANNELS else None
        self._reply(question.asker, SurveyReply(number=question.number, channels=found))
        self._names, self._found = iter(()), {}
        self._loop.call_soon(self._begin)
