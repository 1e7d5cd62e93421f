"""The fuzzer finds faults that are planted into the gateway: what it can't find says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from relay.brokers.envelope import open_envelope
from relay.clients.message_reader import MessageReader
from relay.clients.utf8_validator import Utf8Validator
from relay.clients.websocket import WebSocket
from relay.hub import Hub
from relay.logs import Logger
from relay.message import Message
from relay.proxies.proxy_header import NO_HEADER, ProxyHeader, read_proxy_header
from relay.web.http_connection import HttpConnection
from relay.web.http_socket import HttpSocket
from relay.web.open_connections import Expiring, OpenConnections
from tests.fuzz.case import Case, Ending, load, save
from tests.fuzz.grammar import TARGETS, Generator
from tests.fuzz.in_process import Result, fuzz, replay

Plant = Callable[[pytest.MonkeyPatch], None]

SEED = 11
GENERATION = 100
INPUTS = 20 * GENERATION


def found_by_fuzzing(*targets: str) -> Result:
    """Return what comes of a few thousand inputs."""
    generator = Generator(SEED, targets or list(TARGETS))
    return fuzz(generator, lambda tried: tried < INPUTS, lambda _tried: None, GENERATION)


def test_a_gateway_without_a_planted_fault_has_none() -> None:
    result = found_by_fuzzing()
    assert result.fault is None
    assert result.inputs.total() == INPUTS
    assert set(result.inputs) == set(TARGETS)


def raise_at_a_fragment(patch: pytest.MonkeyPatch) -> None:
    """A protocol raises in `buffer_updated`."""
    begin = MessageReader._begin_frame

    def raising(self: MessageReader, header: bytes) -> None:
        assert header[0] != 0x00, "planted"
        begin(self, header)

    patch.setattr(MessageReader, "_begin_frame", raising)


def raise_at_a_chunk(patch: pytest.MonkeyPatch) -> None:
    """A protocol raises in a callback of the event loop."""

    def raising(self: HttpConnection) -> None:
        raise AssertionError("planted")

    patch.setattr(HttpConnection, "_take_turn", raising)


def log_an_error(patch: pytest.MonkeyPatch) -> None:
    """Something is logged as an error, and the connection goes on."""
    refuse = HttpSocket._refuse
    log = Logger("relay.http")

    def logging(self: HttpSocket, refused: Any) -> None:
        if refused.status == 431:
            log.error("planted")
        refuse(self, refused)

    patch.setattr(HttpSocket, "_refuse", logging)


def keep_a_connection(patch: pytest.MonkeyPatch) -> None:
    """A connection that has ended stays in a table."""
    remove = OpenConnections.remove

    def keeping(self: OpenConnections, connection: Expiring) -> None:
        if not getattr(connection, "_eof", False):
            remove(self, connection)

    patch.setattr(OpenConnections, "remove", keeping)


def keep_memory(patch: pytest.MonkeyPatch) -> None:
    """A client that has ended stays in memory, though in no table of the gateway."""
    kept: list[WebSocket] = []
    gone = WebSocket.connection_lost

    def keeping(self: WebSocket, error: Exception | None) -> None:
        gone(self, error)
        kept.append(self)

    patch.setattr(WebSocket, "connection_lost", keeping)


def never_expire(patch: pytest.MonkeyPatch) -> None:
    """A silent connection is never dropped."""
    patch.setattr(OpenConnections, "expire", lambda self, now: None)


def never_ping(patch: pytest.MonkeyPatch) -> None:
    """A WebSocket that doesn't answer pings is never dropped."""
    patch.setattr(WebSocket, "check_heard", lambda self: None)


def fail_at_a_page(patch: pytest.MonkeyPatch) -> None:
    """A handler raises; aiohttp answers 500, and logs it."""

    async def failing(request: web.Request) -> web.Response:
        assert request.method != "DELETE", "planted"
        return web.Response()

    patch.setattr("relay.web.fallbacks._not_found", failing)


def forget_the_pieces(patch: pytest.MonkeyPatch) -> None:
    """A header counts only when it comes in one piece."""

    def hasty(data: bytes) -> ProxyHeader:
        return read_proxy_header(data) or NO_HEADER

    patch.setattr("relay.gateway.proxy_phase.read_proxy_header", hasty)


def pass_on_invalid_text(patch: pytest.MonkeyPatch) -> None:
    """What is no UTF-8 is published as text."""
    patch.setattr(Utf8Validator, "feed", lambda self, payload: None)
    pass_on = MessageReader._pass_on

    def unchecked(self: MessageReader, kind: Any, payload: bytes) -> None:
        session = self._receiver.session
        if kind or not session.open:
            pass_on(self, kind, payload)
        else:
            session.protocol.received(session, kind, payload)

    patch.setattr(MessageReader, "_pass_on", unchecked)


def lose_a_message(patch: pytest.MonkeyPatch) -> None:
    """A message of a healthy client isn't delivered when a hostile one has done something rare before."""
    receive = Hub.receive
    lost: list[Message] = []

    def losing(self: Hub, message: Message) -> None:
        if b"\xf4" in message.payload and not lost:
            lost.append(message)
        elif lost and message.channel.startswith("healthy"):
            lost.clear()
        else:
            receive(self, message)

    patch.setattr(Hub, "receive", losing)


def raise_in_the_reader_of_the_bus(patch: pytest.MonkeyPatch) -> None:
    """An envelope that can't be read raises another error than it should."""

    def raising(channel: str, data: bytes) -> Message:
        assert data[2:3] != b"\x1f", "planted"
        return open_envelope(channel, data)

    patch.setattr("tests.fuzz.world.open_envelope", raising)


@pytest.mark.parametrize(
    ("plant", "targets", "says"),
    [
        (raise_at_a_fragment, (), "AssertionError: planted"),
        (raise_at_a_chunk, ("http",), "AssertionError: planted"),
        (log_an_error, ("http",), "log entry of relay.http: planted"),
        (keep_a_connection, (), "left behind: HTTP connections"),
        (keep_memory, ("frames",), "left in memory"),
        (never_expire, ("http",), "a connection is stuck"),
        (never_ping, ("frames",), "a connection is stuck"),
        (fail_at_a_page, ("http",), "log entry of relay.http: Error handling request"),
        (forget_the_pieces, ("proxy",), "in pieces the same bytes come to something else"),
        (pass_on_invalid_text, ("frames",), "a text is not UTF-8"),
        (lose_a_message, ("frames",), "a healthy client heard []"),
        (raise_in_the_reader_of_the_bus, ("envelope",), "AssertionError in the reader of the bus"),
    ],
)
def test_a_planted_fault_is_found_and_its_inputs_bring_it_about_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plant: Plant, targets: tuple[str, ...], says: str
) -> None:
    with monkeypatch.context() as patch:
        plant(patch)
        result = found_by_fuzzing(*targets)
        assert result.fault is not None
        assert says in result.fault
        assert len(result.cases) <= 2
        save(tmp_path / "cases.json", result.cases)
        cases = list(load(tmp_path / "cases.json"))
        assert cases == list(result.cases)
        assert replay(cases, result.variant) is not None
    assert replay(cases, result.variant) is None


def test_the_same_seed_makes_the_same_inputs() -> None:
    one, other, third = (Generator(seed, list(TARGETS)).make(200) for seed in (1, 1, 2))
    assert one == other != third


def test_pieces_are_all_of_the_data() -> None:
    for case in Generator(3, list(TARGETS)).make(500):
        assert b"".join(case.pieces) == case.data
        assert all(case.pieces) or not case.data
    assert Case("http", b"abc", (1,), Ending.EOF).pieces == [b"a", b"bc"]
