"""Failures are reported whatever happens while their report is made: one must never hide the others.

CPython 3.11 makes a report end the run: pytest and `traceback` parse source text to show a failure, and when
the garbage collector interrupts one parsing with another (a finalizer that warns shows a traceback, too), the outer
one raises `SystemError: AST constructor recursion depth mismatch`.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the collector out while a failure is put into words, and use plainer words when that fails."""
    collects = gc.isenabled() and call.excinfo is not None
    if collects:
        gc.disable()
    try:
        return (yield)
    except Exception as error:  # noqa: BLE001  # whatever it is, the run goes on
        return _plain_report(item, call, error)
    finally:
        if collects:
            gc.enable()


def _plain_report(item: pytest.Item, call: pytest.CallInfo[None], error: Exception) -> pytest.TestReport:
    assert call.excinfo is not None
    assert call.when != "collect"
    failure = call.excinfo.value
    try:
        words = "".join(traceback.format_exception(failure))
    except Exception:  # noqa: BLE001  # the same may stand in its way
        words = "".join(traceback.format_tb(failure.__traceback__)) + type(failure).__qualname__
    return pytest.TestReport(
        item.nodeid,
        item.location,
        dict.fromkeys(item.keywords, 1),
        "failed",
        f"{words}\n(pytest could not show it: {type(error).__name__}: {error})",
        call.when,
        [(f"Captured {kind} {when}", text) for when, kind, text in item._report_sections],
        call.duration,
        call.start,
        call.stop,
    )
