"""Messages leave when they are due; what the socket doesn't take waits in the backlog."""

from __future__ import annotations

import time

from relay.loadtest.generator.load_publisher import ON_TIME_NS, SendStatistics
from relay.loadtest.plan.schedule import NANO
from tests.harness.raw_websocket import TEXT
from tests.loadtest.generator.publisher_fixture import RUN, SIZE, RecordingTransport, make


def test_a_message_says_when_it_was_due_and_when_it_was_sent() -> None:
    publisher = make(3, epoch=time.monotonic_ns() - 2 * NANO)
    transport = RecordingTransport(publisher)
    publisher.backlog.append(1_950_000_000)
    publisher.send_due()
    (header,) = transport.headers()
    (sent,) = publisher.sent_at
    assert header[:5] == (RUN, 3, 5, 0, 1_950_000_000)
    assert header.lag == (sent - header.due) // 1000
    assert 50_000 <= header.lag < 10_000_000
    assert sent >= 2 * NANO


def test_a_message_is_framed_as_the_dialect_says() -> None:
    publisher = make(template='{"data":"{payload}","more":{}}')
    transport = RecordingTransport(publisher)
    publisher.backlog.append(0)
    publisher.send_due()
    (frame,) = transport.frames()
    assert (frame.opcode, frame.fin) == (TEXT, True)
    assert frame.payload.startswith(b'{"data":"rly:')
    assert frame.payload.endswith(b'","more":{}}')
    assert len(frame.payload) == SIZE + len('{"data":"","more":{}}')


def test_without_a_connection_all_messages_stay_in_the_backlog() -> None:
    publisher = make()
    publisher.backlog += [1, 2, 3]
    publisher.send_due()
    assert (list(publisher.backlog), len(publisher.sent_at)) == ([1, 2, 3], 0)


def test_the_backlog_is_sent_in_order_as_far_as_the_connection_takes_it() -> None:
    publisher = make(epoch=time.monotonic_ns() - NANO)
    publisher.backlog += range(1000)
    first = RecordingTransport(publisher, takes=3)
    publisher.send_due()
    sent = len(first.headers())
    assert 0 < sent < 1000
    assert len(publisher.backlog) == 1000 - sent
    second = RecordingTransport(publisher)
    publisher.send_due()
    headers = first.headers() + second.headers()
    assert [header.sequence for header in headers] == list(range(1000))
    assert [header.due for header in headers] == list(range(1000))
    assert list(publisher.sent_at) == sorted(publisher.sent_at)
    assert not publisher.backlog


def test_on_time_is_what_is_sent_within_a_second() -> None:
    statistics = SendStatistics()
    for late in (0, ON_TIME_NS - 1, ON_TIME_NS, 3 * ON_TIME_NS):
        statistics.record(2_500_000_000, 2_500_000_000 + late)
    assert statistics.on_time == {2: 2}
    assert statistics.sent == {2: 1, 3: 2, 5: 1}
    assert statistics.lag.total == 4
