"""What the tests of logs share: the logging of the process is as before after each."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from relay.logs.logger import threshold


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
    threshold.level = logging.NOTSET
