"""A client of the Centrifuge protocol, with several channels on one connection: it comes back as official ones do.

It is written after the protocol alone: it has nothing of the relay, nor of an official client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.faults.clients.centrifuge_connection import CentrifugeConnection, Content, Reply, Unexpected
from tests.faults.clients.centrifuge_subscription import CentrifugeSubscription, State
from tests.faults.clients.small_socket import reach
from tests.faults.clients.subscriber import ANSWER_SECONDS, FAILURES, PAUSE_SECONDS
from tests.faults.clients.websocket_subscriber import QUEUE, QUEUE_LOW
from tests.faults.stack.place import Place

WRITE_BYTES: Final = 1 << 20
"""That wait for the gateway before a sender waits: official clients never do."""

TERMINAL: Final = (range(3500, 4000), range(4500, 5000))
"""Close codes after which a client does not come back."""

RESTLESS_SECONDS: Final = (3.0, 12.0)
"""From one time that a client leaves a channel, and comes back at once, to the next."""


class CentrifugeClient:
    """A client.

    Args:
        subscriptions: its channels.
        places: of the gateways.
        random: chooses gateways and pauses.
        user: its name; empty: none.

    Attributes:
        subscriptions: see above.
        connection: the present one; None: there is none.
        introduced: whether the relay has said that it knows the client.
        reading: cleared while it reads nothing.
        restless: whether it leaves channels now and then, and comes back at once.
    """

    def __init__(
        self, subscriptions: Sequence[CentrifugeSubscription], places: Sequence[Place], random: Random, user: str = ""
    ) -> None:
        self.subscriptions = subscriptions
        self.connection: CentrifugeConnection | None = None
        self.introduced = False
        self.reading = asyncio.Event()
        self.restless = True
        self._places = places
        self._random = random
        self._user = user
        self._place = places[0]
        # Those that the relay couldn't begin, and when they are tried again; loop time.
        self._again: dict[CentrifugeSubscription, float] = {}
        self._restless_at = 0.0
        self.reading.set()
        for subscription in subscriptions:
            subscription.reading = self.reading

    async def run(self) -> None:
        """Listen, and come back whenever a connection ends, until that says that it may not."""
        code = None
        while not any(code in codes for codes in TERMINAL):
            self._place = self._random.choice(self._places)
            try:
                code = await self._visit()
            except FAILURES:
                code = None
            for subscription in self.subscriptions:
                subscription.end(code)
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))

    async def _visit(self) -> int | None:
        """Listen at a gateway, until the connection ends; return why, None: that isn't known."""
        query = f"?user={self._user}" if self._user else ""
        async with connect(
            self._place.address(f"/connection/websocket{query}"),
            sock=await reach(self._place.door.port, ANSWER_SECONDS),
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=ANSWER_SECONDS,
            close_timeout=0.5,
            max_size=None,
            max_queue=(QUEUE, QUEUE_LOW),
            write_limit=WRITE_BYTES,
        ) as socket:
            self.connection = CentrifugeConnection(socket, self._pushed)
            self._introduce(self.connection)
            try:
                await self.connection.flush()
                while True:
                    await self._take_turn(self.connection, socket)
            except ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code
            finally:
                self.introduced = False
                self.connection.end()
                self.connection = None

    async def _take_turn(self, connection: CentrifugeConnection, socket: ClientConnection) -> None:
        """Take what comes next, or do what is due before.

        Raises:
            ConnectionClosed: the connection has ended.
            TimeoutError: nothing has come for too long.
        """
        try:
            async with asyncio.timeout_at(min([connection.due, self._restless_at, *self._again.values()])):
                connection.take(await socket.recv())
        except TimeoutError:
            if connection.due <= _now():
                raise
        for subscription in [one for one, due in self._again.items() if due <= _now()]:
            del self._again[subscription]
            self._subscribe(subscription)
        if self._restless_at <= _now():
            self._be_restless(connection)
        await connection.flush()
        if not self.reading.is_set():
            await self.reading.wait()
            connection.read_on()

    def _introduce(self, connection: CentrifugeConnection) -> None:
        """Say who it is; its subscriptions follow with that, or when it is known."""
        self._again.clear()
        self._restless_at = _now() + self._random.uniform(*RESTLESS_SECONDS)
        at_once = self._random.random() < 0.5
        request = {"name": "checker", "subs": {one.channel: one.request for one in self.subscriptions if one.by_server}}
        connection.ask("connect", request, partial(self._be_introduced, connection, at_once))
        if at_once:
            self._subscribe_all()

    def _be_introduced(self, connection: CentrifugeConnection, subscribed: bool, reply: Reply) -> None:
        if reply is None:
            return
        if "error" in reply:
            raise Unexpected(f"connect: {reply}")
        result = reply["connect"]
        self.introduced = True
        connection.expect_pings(result["ping"])
        for subscription in self.subscriptions:
            if subscription.by_server:
                subscription.begin(self._place, result["subs"].pop(subscription.channel))
        if result.get("subs"):
            raise Unexpected(f"subscribed to {list(result['subs'])} without having asked")
        if not subscribed:
            self._subscribe_all()

    def _subscribe_all(self) -> None:
        for subscription in self.subscriptions:
            if not subscription.by_server:
                self._subscribe(subscription)

    def _subscribe(self, subscription: CentrifugeSubscription) -> None:
        assert self.connection is not None
        request = {"channel": subscription.channel, "flag": 1, **subscription.request}
        self.connection.ask("subscribe", request, partial(self._be_subscribed, subscription))

    def _be_subscribed(self, subscription: CentrifugeSubscription, reply: Reply) -> None:
        if reply is None:
            return
        if (error := reply.get("error")) is None:
            subscription.begin(self._place, reply["subscribe"])
        elif error.get("temporary"):
            self._again[subscription] = _now() + self._random.uniform(*PAUSE_SECONDS)
        else:
            raise Unexpected(f"subscribe to {subscription.channel}: {error}")

    def _be_restless(self, connection: CentrifugeConnection) -> None:
        """Leave a channel, and come back at once, or when that is confirmed."""
        self._restless_at = _now() + self._random.uniform(*RESTLESS_SECONDS)
        here = [one for one in self.subscriptions if one.state is State.HERE and not one.by_server]
        if not here or not self.restless:
            return
        subscription, at_once = self._random.choice(here), self._random.random() < 0.5
        subscription.end(None, State.LEAVING)
        request = {"channel": subscription.channel}
        connection.ask("unsubscribe", request, partial(self._be_away, subscription, at_once))
        if at_once:
            self._subscribe(subscription)

    def _be_away(self, subscription: CentrifugeSubscription, subscribed: bool, reply: Reply) -> None:
        if reply is None:
            return
        if reply.get("unsubscribe") != {}:
            raise Unexpected(f"unsubscribe from {subscription.channel}: {reply}")
        subscription.state = State.AWAY
        if not subscribed:
            self._subscribe(subscription)

    def _pushed(self, channel: str, kind: str, content: Content) -> None:
        subscription = next((one for one in self.subscriptions if one.channel == channel), None)
        if subscription is None:
            raise Unexpected(f"a push of {channel!r}: {kind} {content!r:.80}")
        if kind == "pub":
            subscription.publication(content)
        elif kind == "unsubscribe":
            if subscription.unsubscribed(content["code"]):
                self._subscribe(subscription)
        else:
            raise Unexpected(f"a push of {channel}: {kind} {content!r:.80}")


def _now() -> float:
    return asyncio.get_running_loop().time()
