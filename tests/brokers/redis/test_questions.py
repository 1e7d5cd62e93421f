"""What a link asks Redis to see that it lives."""

from __future__ import annotations

import hiredis
import pytest

from relay.brokers.redis.questions import Questions
from relay.metrics.counters import Counters


def entries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if "bus question refused" in record.getMessage()]


def test_any_answer_is_one_a_refusal_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    counters = Counters()
    questions = Questions("subscriptions", counters)
    for asked_at, reply in ((1.0, b"PONG"), (2.0, hiredis.ReplyError("MISCONF full")), (3.0, b"PONG")):
        questions.asked_at = asked_at
        questions.answered("PING", reply)
        assert questions.asked_at is None
        assert questions.answered_until == asked_at
    assert counters.bus_errors == 1
    assert entries(caplog) == ["WARNING"]


def test_a_refusal_is_told_when_it_is_news_and_not_too_often(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    questions = Questions("subscriptions", counters)
    for _ in range(100):
        for reply in (hiredis.ReplyError("MISCONF full"), hiredis.ReplyError("MASTERDOWN away"), b"PONG"):
            questions.answered("PING", reply)
    assert counters.bus_errors == 200
    assert entries(caplog) == ["WARNING"]


def test_a_missing_right_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    counters = Counters()
    questions = Questions("subscriptions", counters)
    questions.answered("PING", hiredis.ReplyError("NOPERM this user has no permissions to run the 'ping' command"))
    assert counters.bus_errors == 0
    assert entries(caplog) == ["INFO"]


def test_a_fresh_link_has_been_asked_nothing() -> None:
    questions = Questions("subscriptions", Counters())
    before = questions.answered_until
    questions.asked_at = 1.0
    questions.link_opened()
    assert questions.asked_at is None
    assert questions.answered_until >= before
