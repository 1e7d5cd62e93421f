"""What a link asks Redis to see that it lives."""

from __future__ import annotations

import hiredis
import pytest

from relay.brokers.redis.heartbeat import Heartbeat
from relay.metrics.counters import Counters


def entries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if "bus question refused" in record.getMessage()]


def test_any_answer_is_one_a_refusal_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    counters = Counters()
    heartbeat = Heartbeat("subscriptions", counters)
    for sent_at, reply in ((1.0, b"PONG"), (2.0, hiredis.ReplyError("MISCONF full")), (3.0, b"PONG")):
        heartbeat.sent_at = sent_at
        heartbeat.answered("PING", reply)
        assert heartbeat.sent_at is None
        assert heartbeat.answered_until == sent_at
    assert counters.bus_errors == 1
    assert entries(caplog) == ["WARNING"]


def test_a_refusal_is_told_when_it_is_news_and_not_too_often(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    heartbeat = Heartbeat("subscriptions", counters)
    for _ in range(100):
        for reply in (hiredis.ReplyError("MISCONF full"), hiredis.ReplyError("MASTERDOWN away"), b"PONG"):
            heartbeat.answered("PING", reply)
    assert counters.bus_errors == 200
    assert entries(caplog) == ["WARNING"]


def test_a_missing_right_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    counters = Counters()
    heartbeat = Heartbeat("subscriptions", counters)
    heartbeat.answered("PING", hiredis.ReplyError("NOPERM this user has no permissions to run the 'ping' command"))
    assert counters.bus_errors == 0
    assert entries(caplog) == ["INFO"]


def test_a_fresh_link_has_been_asked_nothing() -> None:
    heartbeat = Heartbeat("subscriptions", Counters())
    before = heartbeat.answered_until
    heartbeat.sent_at = 1.0
    heartbeat.link_opened()
    assert heartbeat.sent_at is None
    assert heartbeat.answered_until >= before
