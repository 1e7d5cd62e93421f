"""Every promise names the tests that hold it; every bound is that of the code."""

from __future__ import annotations

import re

import pytest

from relay.brokers.redis.publisher import MAX_CONNECTIONS
from relay.clients import frame_rates, message_reader, turns, unfinished_messages
from relay.clients.context import READ_BUFFER_BYTES
from relay.clients.event_stream import MAX_IGNORED_BYTES
from relay.clients.long_poll import LINGER_SECONDS
from relay.control import messages
from relay.hub import MAX_BATCH_BYTES, MESSAGE_OVERHEAD_BYTES
from relay.proxies import proxy_header
from relay.web.body import BODY_SECONDS
from relay.web.publish_window import RESPONSE_SECONDS, WINDOW_BYTES
from tests.docs.pages import ROOT, table_below, text_of

PAGE = "docs/guarantees.md"
BROKEN = table_below(PAGE, "| what happens |")
LIMITS = table_below(PAGE, "| buffer |")

TEST = re.compile(r"`(tests/[\w/]+\.py)`")

KIB = 1024

BOUNDS = [
    ("a PROXY header", f"{proxy_header.MAX_TEXT_BYTES} bytes of text, or 16 + {proxy_header.MAX_BINARY_BYTES}"),
    ("a client's message", f"{message_reader.MAX_FRAGMENTS} fragments"),
    (
        "a client's pings and pongs",
        f"{frame_rates.CONTROL_FRAMES.per_second} a second, {frame_rates.CONTROL_FRAMES.burst} at once",
    ),
    (
        "fragments of less than 1 KiB",
        f"{frame_rates.FRAGMENTS.per_second} a second, {frame_rates.FRAGMENTS.burst} at once",
    ),
    ("an unfinished message", f"{unfinished_messages.LEAST_SECONDS:g} s, and 1 s for each 10 kB"),
    (
        "what is taken from one client before others have their turn",
        f"{READ_BUFFER_BYTES // KIB} KiB, {turns.FRAMES_PER_TURN} frames; {turns.FRAMES_PER_TURN_OF_MANY} while others",
    ),
    (
        "frames of all clients that wait for a turn",
        f"{turns.FRAMES_PER_TICK} per tick, or {turns.SECONDS_PER_TICK * 1000:g} ms",
    ),
    ("connections of a `Publisher` to Redis", f"{MAX_CONNECTIONS} in each process"),
    (
        "a channel's messages between two fan-outs",
        f"{MAX_BATCH_BYTES // KIB} KiB, an empty message counting as {MESSAGE_OVERHEAD_BYTES} bytes",
    ),
    ("a request's body", f"{BODY_SECONDS:g} s"),
    ("what a reader of events sends", f"{MAX_IGNORED_BYTES // KIB} KiB"),
    ("a subscription without polls", f"{LINGER_SECONDS:g} s"),
    ("what one HTTP request has on its way to Redis", f"{WINDOW_BYTES // KIB} KiB"),
    ("channels that a gateway names in an answer", f"{messages.MAX_CHANNELS:,}"),
]


def test_every_promise_names_a_test() -> None:
    """A promise is a paragraph that begins with bold words."""
    promises = re.findall(r"^\*\*.+?(?=\n\n)", text_of(PAGE), re.DOTALL | re.MULTILINE)
    assert len(promises) > 10
    assert [promise for promise in promises if not TEST.search(promise)] == []


@pytest.mark.parametrize("row", [*BROKEN, *LIMITS], ids=lambda row: row[0])
def test_every_row_names_a_test(row: list[str]) -> None:
    """In the last column, and nothing else there."""
    named = TEST.findall(row[-1])
    assert named
    assert TEST.sub("", row[-1]).strip(", ") == ""
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("buffer", "bound"), BOUNDS, ids=[buffer for buffer, _ in BOUNDS])
def test_a_bound_is_that_of_the_code(buffer: str, bound: str) -> None:
    (written,) = (row[1] for row in LIMITS if row[0] == buffer)
    assert bound in written


def test_what_an_http_publisher_waits_is_that_of_the_code() -> None:
    assert f"{RESPONSE_SECONDS:g} s in all" in text_of(PAGE)
