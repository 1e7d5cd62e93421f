"""The tables of docs/protocol.md: close codes, events, polls, refusals."""

from __future__ import annotations

import json
import re

import pytest

from relay.clients.long_poll import LINGER_SECONDS
from relay.errors import Disconnect, Refused, Unavailable, comes_back
from relay.member import Member, PresenceEvents
from relay.message import Kind, Message
from relay.protocols import poll, sse
from relay.web import publish
from tests.docs.pages import ROOT, code_blocks, table_below, text_of
from tests.protocols.recording import RecordingSession

PAGE = "docs/protocol.md"
CLOSE_CODES = table_below(PAGE, "| close code |")


OF_CENTRIFUGE = frozenset(
    {
        Disconnect.NOT_AVAILABLE,
        Disconnect.INVALID_TOKEN,
        Disconnect.CONNECT_TIMEOUT,
        Disconnect.SUBSCRIPTION_EXPIRED,
        Disconnect.TOO_MANY_CONNECTIONS,
        Disconnect.TOO_MANY_REQUESTS,
        Disconnect.TOO_MANY_CHANNELS,
        Disconnect.UNAVAILABLE,
    }
)
"""Reasons of which Centrifuge clients alone are told, by the numbers of their protocol: `docs/centrifuge.md`."""


@pytest.mark.parametrize("disconnect", [one for one in Disconnect if one not in OF_CENTRIFUGE])
def test_every_close_code_is_explained(disconnect: Disconnect) -> None:
    rows = [reason for codes, reason, _ in CLOSE_CODES if codes == str(disconnect.code)]
    assert any(disconnect.reason in reason for reason in rows)


@pytest.mark.parametrize("row", CLOSE_CODES, ids=" ".join)
def test_the_table_of_close_codes_says_what_clients_do(row: list[str]) -> None:
    """`relay subscribe` goes by `comes_back`, and so does the client in the page."""
    codes, _, advice = row
    ends = [int(code) for code in re.findall("[0-9]{4}", codes)]
    back = not advice.startswith(("fix", "stay away"))
    assert back == advice.startswith(("come back", "the same"))
    assert {comes_back(code) for code in ends} == {back}
    assert len(ends) > 1 or ends[0] in {1002, *(disconnect.code for disconnect in Disconnect)}


def test_the_names_of_events_are_those_of_the_protocol() -> None:
    written = {re.findall("`(.+?)`", event)[0] for _, event, _ in table_below(PAGE, "| message | event |")}
    events = [
        sse.encode(Message("", b"text")),
        sse.encode(Message("", b"carriage\rreturn")),
        sse.encode(Message("", b"\xff", Kind.BINARY)),
        sse.ServerSentEvents("lobby").closing(Disconnect.GOING_AWAY).last,
        sse.ServerSentEvents("lobby").missed(RecordingSession(), "lobby", None),
        sse.WatchingEvents.presence.begun,
        sse.WatchingEvents.presence.encode(PresenceEvents("lobby", joined=[Member("1")])),
        sse.WatchingEvents.presence.encode(PresenceEvents("lobby", left=[Member("1")])),
    ]
    named = {(re.findall(rb"^event: (\w+)$", event, re.MULTILINE) or [b"message"])[0].decode() for event in events}
    assert written == named


def test_the_example_of_events_is_what_is_sent() -> None:
    (example,) = (code for code in code_blocks(PAGE, "") if code.startswith("HTTP/1.1"))
    for sent in (
        sse.encode(Message("", b"hello")),
        sse.encode(Message("", b"a text\nof two lines")),
        sse.encode(Message("", b"\x00\x01", Kind.BINARY)),
        sse.HEARTBEAT,
        sse.ServerSentEvents("lobby").closing(Disconnect.GOING_AWAY).last,
    ):
        assert sent.decode().strip() in example
    least, most = sse.RETRY_MILLISECONDS
    assert f"from {least} to {most} milliseconds" in text_of(PAGE)


def test_the_fields_of_a_poll_are_those_of_its_answer() -> None:
    backlog = poll.Backlog(1000)
    backlog.add(poll.encode(Message("", b"hello")) + poll.encode(Message("", b"\x00\x01", Kind.BINARY)))
    answer = json.loads(backlog.answer("token", poll.LongPolling("a").closing(Disconnect.GOING_AWAY)))
    assert [field.strip("`") for field, _ in table_below(PAGE, "| field |")] == list(answer)
    (example,) = (json.loads(code) for code in code_blocks(PAGE, "json"))
    assert example["messages"] == answer["messages"]
    assert example.keys() == answer.keys() - {"closed"}


def test_the_seconds_of_polls_are_those_of_the_relay() -> None:
    waits = {field.strip("`"): text for field, text in table_below(PAGE, "| parameter | |")}
    assert f"0 to {poll.MAX_WAIT_SECONDS:g}, {poll.MAX_WAIT_SECONDS:g} without it" in waits["wait"]
    assert f"outlives its polls** by {LINGER_SECONDS:g} seconds" in text_of("docs/fallbacks.md")


def test_the_types_of_text_are_those_of_the_relay() -> None:
    (text, _), _ = table_below(PAGE, "| Content-Type |")
    assert set(re.findall("`([a-z]+/[^`]+)`", text)) == {"text/*", *publish._TEXT_TYPES}


def test_every_status_with_which_a_request_is_refused_is_explained() -> None:
    """Those of the server API are on a page of their own."""
    cells = re.findall(r"^\| ([0-9, ]{3,})", text_of(PAGE), re.MULTILINE)
    explained = {status for cell in cells for status in re.findall("[0-9]{3}", cell)}
    packages = ("auth", "clients", "gateway", "protocols", "proxies", "web")
    sources = [
        path for package in packages for path in (ROOT / "relay" / package).rglob("*.py") if "api" not in path.parts
    ]
    raised = {status for path in sources for status in re.findall(r"Refused\(\s*([0-9]{3})\b", path.read_text())}
    assert len(raised) > 10
    assert raised <= explained


@pytest.mark.parametrize("reason", Unavailable)
def test_every_reason_to_let_in_no_client_is_a_word_of_the_metrics(reason: Unavailable) -> None:
    """And explained beside them."""
    assert f"`{Refused(503, reason).cause}`" in text_of("docs/operations.md")
