"""Nothing in the log that does not belong there: no secret, and no line that looks like another entry."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import structlog

from relay.logs import configure_logs
from tests.logs.streams import Terminal


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
