"""The logger of the relay: where its entries go, and how many of one kind are written."""

from __future__ import annotations

import io
import logging

import pytest

from relay.logs import Logger, configure_logs, log_left_out, logger
from relay.logs.logger import EntryLimiter
from relay.logs.rate import LogRate
from tests.logs.streams import entries


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the limit, which lets two entries of a kind pass in a millisecond."""
    clock = Clock()
    rate = LogRate(most_entries=2, interval_seconds=0.001)
    monkeypatch.setattr(logger, "limiter", EntryLimiter(rate, clock))
    return clock


def test_a_logger_takes_the_way_of_structlog_where_it_is_configured() -> None:
    """All levels, with exceptions."""
    log = Logger("relay.bus")
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    log.debug("one", port=1)
    log.info("two")
    log.warning("three")
    log.error("four")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("five")
    found = entries(stream)
    assert [entry["event"] for entry in found] == ["one", "two", "three", "four", "five"]
    assert [entry["level"] for entry in found] == ["debug", "info", "warning", "error", "error"]
    assert {entry["logger"] for entry in found} == {"relay.bus"}
    assert found[0]["port"] == 1
    assert "ValueError: broken" in found[4]["exception"]


def test_a_logger_takes_the_way_of_the_standard_library_elsewhere(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that embeds a gateway hears of it as of any library; nothing is printed."""
    logging.getLogger().addHandler(caplog.handler)
    log = Logger("relay.bus")
    with caplog.at_level(logging.INFO, "relay.bus"):
        log.debug("unseen")
        log.info("bus connected", url="redis://u:hidden@h", user="a\nb", count=2)
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("task failed", task="probe")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("relay.bus", "INFO", "bus connected url=redis://u:***@h user=a\\nb count=2"),
        ("relay.bus", "ERROR", "task failed task=probe"),
    ]
    assert caplog.records[1].exc_info is not None
    assert capsys.readouterr().out == ""


def test_only_the_first_entries_of_an_event_are_written(clock: Clock) -> None:
    """Other events are, and then one line says how many there were."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    log = Logger("relay.control")
    for n in range(100_000):
        log.warning("control message refused", error=f"number {n}")
    log.info("ready")
    assert [entry.get("error", entry["event"]) for entry in entries(stream)] == ["number 0", "number 1", "ready"]
    clock.now = 2.0
    log.info("stopped")
    told, last = entries(stream)[3:]
    assert last["event"] == "stopped"
    assert told["event"] == "log entries left out"
    assert (told["level"], told["logger"], told["of"]) == ("warning", "relay.control", "control message refused")
    assert told["entries"] == 99_998


def test_libraries_have_the_same_limit(clock: Clock) -> None:
    """By their template; where values are in the text already, by the place that it comes from."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    for n in range(5):
        logging.getLogger("aiohttp.server").error("Error handling request from %s", n)
        logging.getLogger("asyncio").error(f"Exception in callback {n}")  # noqa: G004 - as asyncio does it
        logging.getLogger("library").error(ValueError(n))
    assert len(entries(stream)) == 6
    clock.now = 2.0
    log_left_out()
    assert [(entry["logger"], entry["entries"]) for entry in entries(stream)[6:]] == [
        ("aiohttp.server", 3),
        ("asyncio", 3),
        ("library", 3),
    ]


@pytest.mark.usefixtures("clock")
def test_debug_has_no_limit() -> None:
    """The level is for finding one entry among many."""
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    for _ in range(50):
        Logger("relay.gateway").debug("refused")
    assert len(entries(stream)) == 50


def test_a_program_that_embeds_a_gateway_is_spared_too(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    """The relay's own entries are limited wherever they go."""
    logging.getLogger().addHandler(caplog.handler)
    for _ in range(50):
        Logger("relay.bus").warning("refused")
    clock.now = 2.0
    log_left_out()
    assert [record.getMessage() for record in caplog.records][2:] == [
        "log entries left out of=refused entries=48 seconds=10.0"
    ]
