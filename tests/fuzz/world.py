"""A gateway in this process, with healthy clients, that takes in one input after the other."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
from collections.abc import Sequence
from math import ceil
from types import TracebackType
from typing import Any, Final, Self

import pytest

import relay.protocols.centrifuge.protobuf_format  # noqa: F401  # loaded with its first client, it would be left behind
from relay import Gateway, Settings
from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.clients.context import CLOSE_TIMEOUT_SECONDS
from relay.clients.polling_clients import SWEEP_SECONDS
from relay.control.messages import CONTROL_CHANNEL
from relay.gateway.proxy_phase import ProxyPhase
from relay.message import PositionedMessage
from relay.protocols.centrifuge import protobuf_wire
from tests.clients.late_bus import LateBus
from tests.fuzz.case import Case, Ending, Reading
from tests.fuzz.entitlement import wrongly_admitted
from tests.fuzz.grammar import is_connection
from tests.fuzz.grammar.credential import CLIENT_KEY, healthy_token
from tests.fuzz.grammar.http import CHANNELS, TARGETS
from tests.fuzz.grammar.websocket import frame
from tests.fuzz.healthy_clients import HealthyClients
from tests.fuzz.leftovers import more, numbers, objects
from tests.fuzz.memory_transport import MemoryTransport
from tests.fuzz.outcome import Outcome
from tests.fuzz.replies import InvalidReply, is_stream, read_replies
from tests.fuzz.variants import SETTINGS, Variant
from tests.fuzz.virtual_clock import VirtualClockLoop
from tests.harness.inside import parts_of

PONG: Final = frame(10, b"")

PROXY: Final = "10.0.0.1"
"""The balancer from which all inputs come; its PROXY headers are believed."""

REST_SECONDS: Final = 75
"""Longer than any deadline of a connection: a message of 64 KiB may take 37 s and a check, a request 30."""

LATER_SECONDS: Final = 2 * SWEEP_SECONDS
"""What isn't done at once is done by then: a pause between two looks at polls is half as long again at most."""

FORGOTTEN_SECONDS: Final = 1.5
"""By then the bus is unsubscribed from a channel without clients."""

_OWN = ("relay.clients.", "relay.node.", "websockets.")
"""What must go without the garbage collector; aiohttp's errors don't."""


class Fault(Exception):
    """The gateway has done what it must never do.

    Args:
        what: in words.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return self.what


class _Complaints(logging.Handler):
    """Keeps what is logged as an error, and what the event loop reports."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []
        self.setFormatter(logging.Formatter("log entry of %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def from_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        where = logging.Formatter().formatException((type(error), error, error.__traceback__)) if error else ""
        self.texts.append(f"{context.get('message')} {where}")


_COMMAND_STREAMS: Final = (b"/connection/sse", b"/connection/http_stream", b"/connection/uni_")
"""Where a client says commands with its request, and nothing behind it."""


class World:
    """A gateway with a memory bus on a loop with a virtual clock. An async context manager: it drains at the end.

    Args:
        variant: the kind of gateway.
    """

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        given: dict[str, Any] = {**SETTINGS, **variant.settings}
        self._gateway = Gateway(Settings(port=0, drain_seconds=0, **given))
        self._complaints = _Complaints()
        self._patch = pytest.MonkeyPatch()
        self._late_bus = LateBus(self._patch) if variant.late_bus else None
        self._open: list[tuple[Case, MemoryTransport]] = []
        # Whether the last client had to wait for the bus.
        self._waited = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        self._loop = loop
        self._loop.set_exception_handler(self._complaints.from_loop)
        logging.getLogger().addHandler(self._complaints)
        await self._gateway.start()
        self._parts = parts_of(self._gateway)
        user = f"healthy-{secrets.token_hex(4)}"
        token = healthy_token(user) if "jwt_secret" in self._variant.settings else CLIENT_KEY
        query = f"token={token}" if "auth" in self._variant.settings else f"user={user}"
        self._healthy = HealthyClients(self._connect, query)
        await self._acknowledge()
        await self._loop.settle()
        self._healthy.begin()
        gc.collect()
        gc.disable()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._gateway.drain()
                await self._loop.settle()
                if any(not transport.lost for _, transport in self._open):
                    raise Fault("a connection is left after a drain")
                self._check_complaints()
        finally:
            await self._gateway.stop()
            self._patch.undo()
            logging.getLogger().removeHandler(self._complaints)
            gc.enable()

    async def warm_up(self) -> None:
        """Ask for each page once, which fills the caches of the gateway, and note what is there then."""
        protobuf_wire()  # its format stays, once a client speaks it
        for target in TARGETS:
            await self.try_case(Case("http", f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()))
        await self._rest()
        gc.collect()
        self._numbers, self._objects = numbers(self._parts), objects()

    async def try_case(self, case: Case) -> None:
        """Take in one input, whole and in pieces.

        Raises:
            Fault: what came of it is wrong, or not the same.
        """
        if not is_connection(case.target):
            await self._receive(case)
            return
        if case.cuts and await self._differs(case) is not None:
            # Of a client before, which is silent, a request behind a poll may have been served meanwhile.
            await self._rest()
            if (difference := await self._differs(case)) is not None:
                raise Fault(difference)
        elif not case.cuts:
            await self._play(case, [case.data])

    async def _differs(self, case: Case) -> str | None:
        """Return how an input in pieces comes to something else than whole; None: it doesn't, or may."""
        whole, waited = await self._play(case, [case.data]), self._waited
        pieces = await self._play(case, case.pieces)
        if whole.allows(pieces) or any(path in case.data for path in _COMMAND_STREAMS):
            return None  # who says more than one request there is dropped, whatever of that was carried out before
        if case.target == "centrifuge" and self._late_bus is not None:
            return None  # what it says behind a subscription is dropped when it leaves before the bus has answered
        refused = 503 in {status for status, _ in whole.said.responses + pieces.said.responses}
        if waited is not self._waited or (refused and self._variant.full):
            return None  # a silent client has left meanwhile: its channel, or its place
        return f"in pieces the same bytes come to something else: {pieces!r:.700}, whole to {whole!r:.700}"

    async def rest(self) -> None:
        """Let all deadlines pass.

        Raises:
            Fault: something is left of the connections.
        """
        await self._rest()
        if left := more(self._numbers, numbers(self._parts)):
            raise Fault(f"left behind: {left}")
        if left := more(self._objects, objects(_OWN)):
            raise Fault(f"left in memory until the garbage collector comes: {left}")
        gc.collect()
        if left := more(self._objects, objects()):
            raise Fault(f"left in memory: {left}")

    def _connect(self, reading: Reading = Reading.ALWAYS) -> MemoryTransport:
        return MemoryTransport(self._loop, ProxyPhase(self._parts.front_door, PROXY), reading is Reading.ALWAYS)

    async def _play(self, case: Case, pieces: Sequence[bytes]) -> Outcome:
        """Send an input, and return what it has come to."""
        transport = self._connect(case.reading)
        for piece in pieces:
            transport.send(piece)
            await self._loop.settle()
        if case.reading is Reading.LATE:
            transport.read()
        if case.ending is Ending.EOF:
            transport.send_eof()
        elif case.ending is Ending.RESET:
            transport.reset()
        self._healthy.speak()
        await self._loop.settle()
        await self._acknowledge(refuse=len(case.data) % 5 == 0)
        if (case.ending is Ending.EOF and not transport.lost) or b"/api" in case.data:
            # Polls notice later that their client has gone, and commands should not reach the next one.
            await asyncio.sleep(LATER_SECONDS)  # by the virtual clock
        self._check_complaints()
        try:
            outcome = Outcome(read_replies(bytes(transport.written)), self._healthy.check())
        except InvalidReply as error:
            raise Fault(str(error)) from None
        if not transport.lost:
            self._open.append((case, transport))
        if "auth" in self._variant.settings:
            tokens = "jwt_secret" in self._variant.settings
            if wrongly_admitted(case.data, outcome, tokens=tokens):
                raise Fault(f"admitted without a credential that allows it: {outcome!r:.700}")
        return outcome

    async def _acknowledge(self, *, refuse: bool = False) -> None:
        """Let a late bus acknowledge, or refuse, all channels that it has been asked for."""
        if self._late_bus is None:
            return
        waiting = [channel for channel, future in self._late_bus.futures.items() if not future.done()]
        self._waited = bool(waiting)
        for channel in waiting:
            (self._late_bus.refuse if refuse else self._late_bus.acknowledge)(channel)
        await asyncio.sleep(FORGOTTEN_SECONDS)  # by the virtual clock

    async def _receive(self, case: Case) -> None:
        """Take in a message of the bus, as the Redis broker does."""
        channel = CONTROL_CHANNEL if case.target == "command" else CHANNELS[0]
        node = self._parts.context.node
        try:
            message = open_envelope(channel, case.data)
            if isinstance(message, PositionedMessage):
                node.receive_positioned(message)
            else:
                node.receive(message)
        except EnvelopeError:
            pass
        except Exception as error:
            raise Fault(f"{type(error).__name__} in the reader of the bus: {error}") from error
        self._healthy.speak()
        await asyncio.sleep(LATER_SECONDS)  # by the virtual clock
        self._check_complaints()
        try:
            self._healthy.check()
        except InvalidReply as error:
            raise Fault(str(error)) from None

    async def _rest(self) -> None:
        """Let the deadlines of all open connections pass; event streams may stay, and WebSockets with pongs."""
        for _ in range(REST_SECONDS):
            await asyncio.sleep(1)  # by the virtual clock
            self._healthy.check()
            for case, transport in self._open:
                if case.ending is Ending.PONGS:
                    transport.send(PONG)
        for case, transport in self._open:
            if not transport.lost and not is_stream(transport.written) and case.ending is not Ending.PONGS:
                raise Fault(f"a connection is stuck: {case}")
            transport.send_eof()
        # What is stuck for a client that doesn't read is kept for some time, should it read after all.
        for _ in range(ceil(CLOSE_TIMEOUT_SECONDS + FORGOTTEN_SECONDS)):
            await asyncio.sleep(1)  # by the virtual clock
            self._healthy.check()
        for case, transport in self._open:
            if not transport.lost:
                raise Fault(f"a connection stays when its client has left: {case}")
            try:
                read_replies(bytes(transport.written))
            except InvalidReply as error:
                raise Fault(f"{error}, said to {case}") from None
        self._open.clear()
        self._healthy.check()
        self._check_complaints()

    def _check_complaints(self) -> None:
        if self._complaints.texts:
            texts, self._complaints.texts = self._complaints.texts, []
            raise Fault("\n".join(texts))
