"""Logs: one line an entry, for people and for machines, and nothing in them that does not belong there."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from relay import logs
from relay.logs import Logger, configure_logs, log_left_out
from relay.logs.rate import LogRate


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Claim it."""
        return True


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # so that those of pytest are not closed
    yield
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the entries of a JSON log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def two_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two entries of a kind pass; intervals are over once they are asked for."""
    monkeypatch.setattr(logs, "_rate", LogRate(most_entries=2, interval_seconds=0.001))


def test_json_has_one_object_a_line() -> None:
    """The usual keys first, then the fields with their types."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    structlog.get_logger("relay.gateway").info("listening", host=["127.0.0.1"], port=8000, ready=True, delay=0.5)
    (entry,) = entries(stream)
    assert list(entry)[:3] == ["timestamp", "level", "event"]
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "level": "info",
        "event": "listening",
        "host": ["127.0.0.1"],
        "port": 8000,
        "ready": True,
        "delay": 0.5,
        "logger": "relay.gateway",
    }


def test_a_worker_is_named_in_every_entry() -> None:
    """Also in those of libraries."""
    stream = io.StringIO()
    configure_logs("info", "json", stream, worker=3)
    structlog.get_logger("relay.gateway").info("listening")
    logging.getLogger("asyncio").warning("slow")
    assert [(entry["event"], entry["worker"]) for entry in entries(stream)] == [("listening", 3), ("slow", 3)]


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    """Console has colours on a terminal."""
    terminal, pipe = Terminal(), io.StringIO()
    configure_logs("info", "auto", terminal)
    structlog.get_logger().info("ready")
    configure_logs("info", "auto", pipe)
    structlog.get_logger().info("ready")
    assert "\x1b[" in terminal.getvalue()
    assert entries(pipe)[0]["event"] == "ready"


def test_console_has_no_colours_in_a_pipe_nor_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """As https://no-color.org asks."""
    pipe, terminal = io.StringIO(), Terminal()
    configure_logs("info", "console", pipe)
    structlog.get_logger().info("ready", port=1)
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logs("info", "console", terminal)
    structlog.get_logger().info("ready", port=1)
    for stream in (pipe, terminal):
        assert "\x1b" not in stream.getvalue()
        assert "ready" in stream.getvalue()
        assert "port=1" in stream.getvalue()


def test_entries_below_the_level_are_not_written() -> None:
    """From structlog and from the standard library alike."""
    stream = io.StringIO()
    configure_logs("warning", "json", stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("asyncio").info("quiet")
    structlog.get_logger().warning("loud")
    assert [entry["event"] for entry in entries(stream)] == ["loud"]


def test_loggers_of_libraries_take_the_same_way() -> None:
    """With level, logger name and exception."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling %s", "request")
    (entry,) = entries(stream)
    assert (entry["level"], entry["event"], entry["logger"]) == ("error", "Error handling request", "aiohttp.server")
    assert "ValueError: broken" in entry["exception"]


def test_warnings_of_python_are_entries() -> None:
    """Not bare lines between them."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logs("info", "json", stream)
        warnings.warn("soon gone", stacklevel=1)
        logging.captureWarnings(False)
    assert "soon gone" in entries(stream)[0]["event"]


def test_configuring_again_replaces() -> None:
    """An entry is never written twice."""
    first, second = io.StringIO(), io.StringIO()
    configure_logs("info", "json", first)
    configure_logs("info", "json", second)
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert len(entries(second)) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_forge_an_entry(form: Any) -> None:
    """Line breaks and terminal sequences that a client sends stay inside their value."""
    stream = io.StringIO()
    configure_logs("info", form, stream)
    evil = "ann\n2026-01-01 [info] forged\x1b[2J"
    structlog.get_logger().info("closed", user=evil, reasons=[evil], more={"a": evil}, raw=evil.encode())
    logging.getLogger("aiohttp").info("got %s", evil)
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_cannot_forge_an_entry() -> None:
    """On the console its lines are indented; the text of an exception may come from a client."""
    stream = io.StringIO()
    configure_logs("info", "console", stream)
    try:
        raise ValueError("evil\n2026-01-01 00:00:00 [info] forged\x1b[2J")
    except ValueError:
        structlog.get_logger().exception("failed")
    first, *trace = stream.getvalue().splitlines()
    assert "failed" in first
    assert any("ValueError" in line for line in trace)
    assert all(line.startswith("    ") for line in trace)
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_shows_no_local_variables() -> None:
    """They hold passwords and payloads."""
    stream = Terminal()
    configure_logs("info", "console", stream)
    password = "hunter" + "2"
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked(form: Any) -> None:
    """Query strings and passwords, wherever in an entry they are."""
    stream = io.StringIO()
    configure_logs("info", form, stream)
    log = structlog.get_logger()
    log.info("GET /ws?token=hidden", url="ws://h/ws/lobby?token=hidden", broker="redis://u:hidden@h/0")
    log.info("more", places=["redis://:hidden@h"], error=OSError("at redis://u:hidden@h"), pair=("/a?b=hidden", 1))
    logging.getLogger("aiohttp.access").info('"GET /ws?token=%s HTTP/1.1"', "hidden")
    try:
        raise ConnectionError("redis://u:hidden@h")
    except ConnectionError:
        log.exception("lost")
    assert "hidden" not in stream.getvalue()
    assert "/ws?..." in stream.getvalue()


def test_context_variables_are_part_of_entries() -> None:
    """What is bound once is in every entry of that task."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    with structlog.contextvars.bound_contextvars(connection=7):
        structlog.get_logger().info("joined", nothing=None)
    (entry,) = entries(stream)
    assert entry["connection"] == 7
    assert entry["nothing"] is None


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


@pytest.mark.usefixtures("two_an_interval")
def test_only_the_first_entries_of_an_event_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other events are, and then one line says how many there were."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    log = Logger("relay.control")
    monkeypatch.setattr(logs, "_clock", lambda: 1.0)
    for n in range(100_000):
        log.warning("control message refused", error=f"number {n}")
    log.info("ready")
    assert [entry.get("error", entry["event"]) for entry in entries(stream)] == ["number 0", "number 1", "ready"]
    monkeypatch.setattr(logs, "_clock", lambda: 2.0)
    log.info("stopped")
    told, last = entries(stream)[3:]
    assert last["event"] == "stopped"
    assert told["event"] == "log entries left out"
    assert (told["level"], told["logger"], told["of"]) == ("warning", "relay.control", "control message refused")
    assert told["entries"] == 99_998


@pytest.mark.usefixtures("two_an_interval")
def test_libraries_have_the_same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their template; where values are in the text already, by the place that it comes from."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    monkeypatch.setattr(logs, "_clock", lambda: 1.0)
    for n in range(5):
        logging.getLogger("aiohttp.server").error("Error handling request from %s", n)
        logging.getLogger("asyncio").error(f"Exception in callback {n}")  # noqa: G004 - as asyncio does it
        logging.getLogger("library").error(ValueError(n))
    assert len(entries(stream)) == 6
    monkeypatch.setattr(logs, "_clock", lambda: 2.0)
    log_left_out()
    assert [(entry["logger"], entry["entries"]) for entry in entries(stream)[6:]] == [
        ("aiohttp.server", 3),
        ("asyncio", 3),
        ("library", 3),
    ]


@pytest.mark.usefixtures("two_an_interval")
def test_debug_has_no_limit() -> None:
    """Who turns it on looks for one among many."""
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    for _ in range(50):
        Logger("relay.gateway").debug("refused")
    assert len(entries(stream)) == 50


@pytest.mark.usefixtures("two_an_interval")
def test_a_program_that_embeds_a_gateway_is_spared_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay's own entries are limited wherever they go."""
    logging.getLogger().addHandler(caplog.handler)
    monkeypatch.setattr(logs, "_clock", lambda: 1.0)
    for _ in range(50):
        Logger("relay.bus").warning("refused")
    monkeypatch.setattr(logs, "_clock", lambda: 2.0)
    log_left_out()
    assert [record.getMessage() for record in caplog.records][2:] == [
        "log entries left out of=refused entries=48 seconds=10.0"
    ]
