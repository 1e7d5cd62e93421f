"""Replies to the surveys of all gateways, a little in each tick, without holding up the clients."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import translate
from itertools import islice

from relay.control.messages import MAX_CHANNELS, ControlMessageError, NodeInfo, SurveyReply, SurveyRequest
from relay.hub import Hub

MAX_WAITING = 1000
"""Surveys that wait for their replies. A gateway has four at a time, so that is enough for 250 gateways."""

NAMES_PER_TICK = 500
"""Names of channels that are compared with a pattern before other work has its turn: half a millisecond, and 30 at the
very worst (a name and a pattern of 255 bytes, made for it)."""


class SurveyResponder:
    """Replies to surveys one after the other, in the order in which they came.

    Args:
        hub: knows the channels.
        info: describes this gateway.
        reply: sends a reply; gets the uid of the gateway that asks.
    """

    def __init__(self, hub: Hub, info: Callable[[], NodeInfo], reply: Callable[[str, SurveyReply], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._hub = hub
        self._info = info
        self._reply = reply
        self._waiting: deque[SurveyRequest] = deque()
        # Of the oldest request, when it asks for channels: names that are not compared yet, and those that match.
        self._names: Iterator[str] = iter(())
        self._found: dict[str, int] = {}
        self._running = False

    def add(self, request: SurveyRequest) -> None:
        """Reply to a request, soon.

        Raises:
            ControlMessageError: too many requests wait.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise ControlMessageError(f"more than {MAX_WAITING} questions at a time")
        self._waiting.append(request)
        if not self._running:
            self._running = True
            self._begin()

    def stop(self) -> None:
        """Forget all requests."""
        self._waiting.clear()

    def _begin(self) -> None:
        """Turn to the oldest request."""
        if not self._waiting:
            self._running = False
        elif self._waiting[0].pattern is None:
            request = self._waiting.popleft()
            self._reply(request.asker, SurveyReply(number=request.number, about=self._info()))
            self._loop.call_soon(self._begin)
        else:
            self._names, self._found = iter(self._hub.channels), {}
            self._compare(re.compile(translate(self._waiting[0].pattern)))

    def _compare(self, pattern: re.Pattern[str]) -> None:
        """Compare some names with the pattern of the oldest request, and reply to it after the last one."""
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
        request = self._waiting.popleft()
        found = self._found if len(self._found) <= MAX_CHANNELS else None
        self._reply(request.asker, SurveyReply(number=request.number, channels=found))
        self._names, self._found = iter(()), {}
        self._loop.call_soon(self._begin)
