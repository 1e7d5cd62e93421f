"""Templates are enough to drive servers that speak otherwise; wrong ones fail instead of showing a success."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until
from tests.harness.load_test import LoadTest
from tests.harness.rival_server import CentrifugoLike, RivalServer, SocketIoLike
from tests.honesty.trial import SMALL, Trial, Tried, against, against_each, counts

CROWD = ("--clients", "4", "--channels", "2", "--publishers", "4")
"""Each message goes to two clients, and to the other publisher of the channel or to both."""

PINGED = ("--rate", "100", "--duration", "2s")
"""The 200 messages in a time in which servers ping several times."""

Template = tuple[tuple[str, str], ...]

CENTRIFUGO: Template = (
    ("--url-template", "{url}/connection/websocket"),
    ("--subscribe-frame", '{"id":1,"connect":{}}'),
    ("--subscribe-frame", '{"id":2,"subscribe":{"channel":"{channel}"}}'),
    ("--ready-frame", '"id":2,"subscribe":'),
    ("--publish-frame", '{"id":3,"publish":{"channel":"{channel}","data":"{payload}"}}'),
    ("--answer-frame", r"(?m)^\{\}$ => {}"),
    ("--ignore-frame", '"id":1,"connect":'),
    ("--ignore-frame", '"id":3,"publish":'),
    ("--hears", "all"),
)
SOCKET_IO: Template = (
    ("--url-template", "{url}/socket.io/?EIO=4&transport=websocket"),
    ("--answer-frame", r"^0\{ => 40"),
    ("--answer-frame", r'^40 => 42["join","{channel}"]'),
    ("--answer-frame", "^2$ => 3"),
    ("--ready-frame", r'^42\["joined"'),
    ("--publish-frame", '42["publish","{channel}","{payload}"]'),
)


def words(template: Template) -> list[str]:
    """Return a template as words of a command line."""
    return [word for option in template for word in option]


def changed(template: Template, old: str, new: str | None) -> list[str]:
    """Return a template's words with another value for the one option that has the value `old`; None: without it."""
    assert [value for _, value in template].count(old) == 1
    kept = ((name, new if value == old else value) for name, value in template)
    return words(tuple((name, value) for name, value in kept if value is not None))


def check_clean(tried: Tried[Any], each: int) -> None:
    """Check that nothing went wrong and that all 200 messages came to so many connections each."""
    step = tried.step
    assert tried.code == 0, tried.outcome.output + tried.outcome.errors
    assert (step.offered, step.sent, tried.server.messages) == (200, 200, 200)
    assert step.delivered == step.expected == tried.server.deliveries.total() == 200 * each
    assert step.latency.count == 200 * each
    assert (counts(tried.faults), tried.faults.any) == ({}, False)


@against_each(
    centrifugo=Trial(CentrifugoLike, (*CROWD, *PINGED, *words(CENTRIFUGO))),
    socket_io=Trial(SocketIoLike, (*CROWD, *PINGED, *words(SOCKET_IO))),
)
def test_a_rival_is_driven_by_templates_alone(tried: Tried[RivalServer]) -> None:
    check_clean(tried, 4 if isinstance(tried.server, CentrifugoLike) else 3)
    # Several each: they were answered, or the server would have hung up.
    assert len(tried.server.pinged) == 8
    assert min(tried.server.pinged.values()) > 2


async def test_who_comes_back_to_a_rival_misses_what_was_sent_meanwhile_and_loses_nothing() -> None:
    """The frame that says that it is subscribed has messages in it already."""
    options = (*SMALL, *CROWD, *words(CENTRIFUGO), "--reconnect")
    async with CentrifugoLike(ping_every=60.0) as server, LoadTest(server.url, *options) as load_test:
        await wait_until(lambda: server.messages > 50, within=20.0, what=lambda: f"{server.messages} messages")
        server.sessions[0].reset()
        outcome = await load_test.ended()
    faults, (step,) = outcome.result.faults, outcome.result.steps
    assert (outcome.code, faults.lost, faults.returned) == (0, 0, {"reset": 1}), faults
    assert (step.expected, faults.missed + step.delivered) == (800, 800)
    assert (server.accepted, outcome.result.connects.sessions) == (9, 9)


@against(partial(BroadcastServer, echo=True), *CROWD, "--hears", "all")
def test_a_server_that_sends_back_to_the_sender_is_told_by_hears_all(tried: Tried[BroadcastServer]) -> None:
    check_clean(tried, 4)


@against(BroadcastServer, *CROWD, "--publishers", "2", "--hears", "nothing")
def test_publishers_that_hear_nothing_are_told_by_hears_nothing(tried: Tried[BroadcastServer]) -> None:
    check_clean(tried, 2)


@against(partial(BroadcastServer, echo=True), *CROWD)
def test_own_messages_that_were_not_to_come_are_foreign(tried: Tried[BroadcastServer]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"foreign": 200})


@against(BroadcastServer, *CROWD, "--hears", "all")
def test_own_messages_that_were_to_come_are_lost(tried: Tried[BroadcastServer]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"lost": 200})


CONNECT = '{"id":1,"connect":{}}'
SUBSCRIBE = '{"id":2,"subscribe":{"channel":"{channel}"}}'
SOON = ("--connect-timeout", "2s")
PUBLISH = '{"id":3,"publish":{"channel":"{channel}","data":"{payload}"}}'


@against_each(
    path=Trial(CentrifugoLike, (*CROWD, *changed(CENTRIFUGO, "{url}/connection/websocket", "{url}/ws/{channel}"))),
    connect=Trial(CentrifugoLike, (*CROWD, *changed(CENTRIFUGO, CONNECT, None))),
    subscribe=Trial(CentrifugoLike, (*CROWD, *SOON, *changed(CENTRIFUGO, SUBSCRIBE, None))),
    ready=Trial(CentrifugoLike, (*CROWD, *SOON, *changed(CENTRIFUGO, '"id":2,"subscribe":', '"id":2,"subscribed":'))),
)
def test_who_can_not_subscribe_is_refused(tried: Tried[RivalServer], request: pytest.FixtureRequest) -> None:
    """An option that is wrong or missing is found out by all eight connections."""
    causes = {"path": "HTTP 404", "connect": "3501 bad request", "subscribe": "timeout", "ready": "timeout"}
    assert (tried.code, tried.faults.refused) == (1, {causes[request.node.callspec.id]: 8})
    assert tried.result.verdict


@against(CentrifugoLike, *CROWD, *changed(CENTRIFUGO, PUBLISH, "{payload}"))
def test_a_publish_frame_that_is_not_understood_ends_publishers(tried: Tried[RivalServer]) -> None:
    assert (tried.code, tried.step.delivered, tried.faults.closed) == (1, 0, {"3501 bad request": 4})


@against(CentrifugoLike, *CROWD, *changed(CENTRIFUGO, SUBSCRIBE, SUBSCRIBE.replace("{channel}", "elsewhere")))
def test_a_subscription_to_something_else_loses_everything(tried: Tried[RivalServer]) -> None:
    assert (tried.code, counts(tried.faults)) == (1, {"lost": 800})


@against(SocketIoLike, *CROWD, *changed(SOCKET_IO, "^2$ => 3", None), "--duration", "6s")
def test_pings_that_are_not_answered_are_unexpected_and_end_in_a_close(tried: Tried[RivalServer]) -> None:
    assert (tried.code, tried.faults.unexpected) == (1, 8)
    # Where the server closes on unread bytes, the kernel resets the connection (RFC 1122, section 4.2.2.13).
    assert set(tried.faults.closed) <= {"closed without a close frame", "reset"}
    assert sum(tried.faults.closed.values()) == 8
