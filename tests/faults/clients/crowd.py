"""All clients of a run."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from random import Random
from types import TracebackType
from typing import Final, Self

from relay import AsyncPublisher
from tests.faults.clients.event_subscriber import EventSubscriber
from tests.faults.clients.poll_subscriber import PollSubscriber
from tests.faults.clients.program_publisher import ProgramPublisher, RepeatingProgram
from tests.faults.clients.publisher import Publisher
from tests.faults.clients.request_publisher import RepeatingPublisher, RequestPublisher
from tests.faults.clients.subscriber import Subscriber
from tests.faults.clients.websocket_publisher import WebSocketPublisher
from tests.faults.clients.websocket_subscriber import WebSocketSubscriber
from tests.faults.load import BULK, ROOMS, Load
from tests.faults.recorder import Recorder
from tests.faults.stack.place import Place
from tests.harness.conditions import wait_until

KINDS: Final[Sequence[type[Subscriber]]] = (WebSocketSubscriber, EventSubscriber, PollSubscriber)

MEMBERS: Final = 12
"""Of all rooms together."""

BURST_MESSAGES: Final = 50
BURST_BYTES: Final = 60_000

BACK_SECONDS: Final = 60.0
"""How long everybody may take to be back when nothing is broken any more, before the run is given up."""


class Crowd:
    """Subscribers and publishers. An async context manager: when it is entered all listen, and then publish.

    Args:
        load: how many there are.
        places: of the gateways.
        redis: address of Redis, for programs.
        recorder: where they note everything.
        random: chooses gateways and pauses.

    Attributes:
        subscribers: all.
    """

    def __init__(self, load: Load, places: Sequence[Place], redis: str, recorder: Recorder, random: Random) -> None:
        self._load = load
        self._places = places
        self._recorder = recorder
        self._random = random
        self._program = AsyncPublisher(redis)
        self._tasks: list[asyncio.Task[None]] = []
        self._publishing: list[asyncio.Task[None]] = []
        self._publishers = list(self._make_publishers())
        # It waits for every outcome, so that the last messages of a run are certain.
        self._last_words = {
            channel: RepeatingPublisher(f"last{number}", channel, 0, 0, recorder, self._fork(), places)
            for number, channel in enumerate([*load.names, *BULK, *ROOMS])
        }
        self._bulk = [
            ProgramPublisher(f"bulk{number}", channel, 0, 0, recorder, self._fork(), self._program)
            for number, channel in enumerate(BULK)
        ]
        self.subscribers = list(self._make_subscribers())

    async def __aenter__(self) -> Self:
        try:
            self._tasks = [asyncio.create_task(subscriber.run()) for subscriber in self.subscribers]
            await self.all_listen()
            self._publishing = [asyncio.create_task(publisher.run()) for publisher in self._publishers]
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def burst(self) -> None:
        """Publish many large messages on the channels for that, one after the other on each."""
        await asyncio.gather(*(self._burst(publisher) for publisher in self._bulk))

    async def all_listen(self) -> None:
        """Wait until all subscribers hear their channels."""
        await wait_until(lambda: not self._away(), BACK_SECONDS, lambda: f"these are away: {self._away()}")

    async def stop_publishing(self) -> None:
        """Let nobody publish any more, and wait for all outcomes."""
        for publisher in self._publishers:
            publisher.stop()
        await asyncio.gather(*self._publishing)

    async def say_last_words(self) -> None:
        """Publish one more message on each channel, and wait until everybody has it, or is told that it may not.

        So a client may be that polls a channel without history, when another worker answers it.

        Raises:
            ConditionTimeout: somebody hasn't.
        """
        labels: dict[str, str | None] = {}
        began = self._recorder.now()

        async def publish(channel: str, publisher: Publisher) -> None:
            labels[channel] = await publisher.publish(0)

        await asyncio.gather(*(publish(*item) for item in self._last_words.items()))

        def waiting() -> list[str]:
            return [one.name for one in self.subscribers if one.last != labels[one.channel] and one.told_at < began]

        await wait_until(lambda: not waiting(), BACK_SECONDS, lambda: f"these wait for the last words: {waiting()}")

    def _away(self) -> list[str]:
        return [subscriber.name for subscriber in self.subscribers if not subscriber.listening]

    async def _burst(self, publisher: Publisher) -> None:
        for _ in range(BURST_MESSAGES):
            await publisher.publish(BURST_BYTES)

    def _make_subscribers(self) -> Iterator[Subscriber]:
        names = self._load.names
        for number in range(self._load.subscribers):
            turn, place = divmod(number, len(names))
            kind = KINDS[(turn + place) % len(KINDS)]
            yield kind(f"s{number}", names[place], self._places, self._recorder, self._fork())
        for number, (channel, kind) in enumerate(itertools.product(BULK, KINDS)):
            yield kind(f"b{number}", channel, self._places, self._recorder, self._fork())
        # Not those that poll: they are there while a poll waits.
        for number in range(MEMBERS):
            channel, kind = ROOMS[number % len(ROOMS)], KINDS[number // len(ROOMS) % 2]
            yield kind(f"m{number}", channel, self._places, self._recorder, self._fork(), user=f"m{number}")

    def _make_publishers(self) -> Iterator[Publisher]:
        load = self._load
        interval = load.publishers / load.messages_per_second
        channels = itertools.cycle(load.names)
        for number, channel in zip(range(load.publishers), channels, strict=False):
            common = (channel, interval, load.message_bytes, self._recorder, self._fork())
            turn = (number + number // load.channels) % 5
            if turn == 0:
                yield WebSocketPublisher(f"w{number}", *common, self._places)
            elif turn == 1:
                yield RequestPublisher(f"r{number}", *common, self._places)
            elif turn == 2:
                yield RepeatingPublisher(f"k{number}", *common, self._places)
            elif turn == 3:
                yield ProgramPublisher(f"p{number}", *common, self._program)
            else:
                yield RepeatingProgram(f"q{number}", *common, self._program)

    def _fork(self) -> Random:
        """Return a source of chance of its own, so that no client's timing changes the choices of another."""
        return Random(self._random.random())

    async def _leave(self) -> None:
        tasks = [*self._tasks, *self._publishing]
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(publisher.close() for publisher in self._publishers))
        await self._program.aclose()
        for result in results:
            if isinstance(result, Exception):
                raise result
