"""All clients of a run."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from random import Random
from types import TracebackType
from typing import Final, Self

from relay import AsyncPublisher
from tests.faults.clients.centrifuge_client import CentrifugeClient
from tests.faults.clients.centrifuge_publisher import CentrifugePublisher
from tests.faults.clients.centrifuge_subscription import CentrifugeSubscription
from tests.faults.clients.event_subscriber import EventSubscriber
from tests.faults.clients.listener import Listener
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

ALONE: Final[Sequence[type[Subscriber]]] = (WebSocketSubscriber, EventSubscriber, PollSubscriber)
"""Those that have a connection for one channel; with Centrifuge clients there is one kind more."""

KINDS: Final = len(ALONE) + 1

CHANNELS_EACH: Final = 4
"""Of a Centrifuge client."""

BY_SERVER: Final = 3
"""One of so many of its channels it has with its connection: such a one can't be ended by itself."""

MEMBERS: Final = 12
"""Of all rooms together, besides Centrifuge clients, each of which is in all rooms."""

CENTRIFUGE_MEMBERS: Final = 2

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
        self._alone = list(self._make_subscribers())
        self._clients = list(self._make_clients())
        self.subscribers: list[Listener] = [
            *self._alone,
            *(subscription for client in self._clients for subscription in client.subscriptions),
        ]
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

    async def __aenter__(self) -> Self:
        try:
            self._tasks = [asyncio.create_task(one.run()) for one in self._alone]
            self._tasks += [asyncio.create_task(client.run()) for client in self._clients]
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
        """Let nobody publish any more, nor leave a channel; wait for all outcomes, and until all hear."""
        for publisher in self._publishers:
            publisher.stop()
        for client in self._clients:
            client.restless = False
        await asyncio.gather(*self._publishing)
        await self.all_listen()

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
        """Yield those that have a connection for one channel."""
        for number, channel, kind in self._places_of_subscribers():
            if kind < len(ALONE):
                yield ALONE[kind](f"s{number}", channel, self._places, self._recorder, self._fork())
        for number, (channel, alone) in enumerate(itertools.product(BULK, ALONE)):
            yield alone(f"b{number}", channel, self._places, self._recorder, self._fork())
        # Not those that poll: they are there while a poll waits.
        for number in range(MEMBERS):
            channel, alone = ROOMS[number % len(ROOMS)], ALONE[number // len(ROOMS) % 2]
            yield alone(f"m{number}", channel, self._places, self._recorder, self._fork(), user=f"m{number}")

    def _make_clients(self) -> Iterator[CentrifugeClient]:
        """Yield Centrifuge clients."""
        theirs = [
            (f"s{number}", channel) for number, channel, kind in self._places_of_subscribers() if kind == len(ALONE)
        ]
        shares = [*_shared_out(theirs), [(f"c.{channel}", channel) for channel in BULK]]
        users = [f"m{number}" for number in range(MEMBERS, MEMBERS + CENTRIFUGE_MEMBERS)]
        rooms = [[(f"{user}.{channel}", channel) for channel in ROOMS] for user in users]
        nobody = [""] * len(shares)
        for number, (channels, user) in enumerate(zip([*shares, *rooms], [*nobody, *users], strict=True)):
            subscriptions = [
                CentrifugeSubscription(
                    name,
                    channel,
                    self._recorder,
                    user=user,
                    by_server=(number + place) % BY_SERVER == 1,
                    insists=number % 2 == 1,
                )
                for place, (name, channel) in enumerate(channels)
            ]
            yield CentrifugeClient(subscriptions, self._places, self._fork(), user)

    def _places_of_subscribers(self) -> Iterator[tuple[int, str, int]]:
        """Yield numbers of subscribers, with the channel and the number of the kind of each."""
        names = self._load.names
        for number in range(self._load.subscribers):
            turn, place = divmod(number, len(names))
            yield number, names[place], (turn + place) % KINDS

    def _make_publishers(self) -> Iterator[Publisher]:
        load = self._load
        interval = load.publishers / load.messages_per_second
        channels = itertools.cycle(load.names)
        for number, channel in zip(range(load.publishers), channels, strict=False):
            common = (channel, interval, load.message_bytes, self._recorder, self._fork())
            turn = (number + number // load.channels) % 6
            if turn == 0:
                yield WebSocketPublisher(f"w{number}", *common, self._places)
            elif turn == 1:
                yield RequestPublisher(f"r{number}", *common, self._places)
            elif turn == 2:
                yield RepeatingPublisher(f"k{number}", *common, self._places)
            elif turn == 3:
                yield ProgramPublisher(f"p{number}", *common, self._program)
            elif turn == 4:
                yield RepeatingProgram(f"q{number}", *common, self._program)
            else:
                client = self._clients[number % len(self._clients)]
                yield CentrifugePublisher(f"c{number}", *common, client)

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


def _shared_out(subscribers: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return names and channels, shared out to as few clients as may be, none of which has one channel twice."""
    clients: list[list[tuple[str, str]]] = [[] for _ in range(0, len(subscribers), CHANNELS_EACH)]
    for name, channel in subscribers:
        others = [client for client in clients if all(channel != theirs for _, theirs in client)]
        min(others, key=len).append((name, channel))
    return clients
