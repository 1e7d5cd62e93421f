"""Logs: one line an entry, for people and for machines."""

from __future__ import annotations

import io
import logging
import warnings

import pytest
import structlog

from relay.logs import configure_logs
from tests.logs.streams import Terminal, entries


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


def test_context_variables_are_part_of_entries() -> None:
    """What is bound once is in every entry of that task."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    with structlog.contextvars.bound_contextvars(connection=7):
        structlog.get_logger().info("joined", nothing=None)
    (entry,) = entries(stream)
    assert entry["connection"] == 7
    assert entry["nothing"] is None
