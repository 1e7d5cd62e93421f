"""Measures coverage while fixtures and tests run, and not while pytest collects them and goes from one to the next.

Where coverage traces, each call of any function takes six times as long, pytest's own too: that was a third of a run.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage

import relay

UNMEASURED = (
    "tests/bench/",
    "tests/centrifuge/oracle/",
    "tests/deploy/",
    "tests/docs/",
    "tests/faults/",
    "tests/fuzz/",
    "tests/harness_tests/",
    "tests/settings/test_text.py",
    "tests/system/test_order.py",
    "tests/system/test_reused_descriptors.py",
    "tests/system/test_slow_consumer.py",
    "tests/test_imports.py",
    "tests/web/api/test_openapi.py",
)
"""Tests of the tests' own parts, of files, of thousands of inputs or messages: they reach next to nothing new."""

GATEWAY_PROCESSES = {"cluster", "deployment", "gateways"}
"""Fixtures whose gateways have processes of their own: of a test of the whole system only its clients are here."""

BROWSERS = {"browser", "engine", "engines"}
"""Fixtures of tests that drive a browser, which asks gateways with processes of their own."""


class CoverageBreaks:
    """A plugin of pytest, for runs with and without `--cov`."""

    def __init__(self) -> None:
        self._coverage: Coverage | None = None
        self._depth = 0
        self._cases: Counter[str] = Counter()
        self._wanted = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Load all modules before the first break: what they do as they are loaded counts as well, once."""
        self._coverage = Coverage.current()
        if self._coverage is not None and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
            for module in pkgutil.walk_packages(relay.__path__, "relay."):
                importlib.import_module(module.name)
        while (measuring := Coverage.current()) is not None:
            measuring.stop()  # in a process of xdist another one waits behind the first, and would go on now
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Choose what is measured: of a test's cases the first two, as most go the way of others."""
        test = item.nodeid.partition("[")[0]
        self._cases[test] += 1
        self._wanted = self._cases[test] <= 2 and _reaches_the_relay(item)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        with self._measured():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        with self._measured():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        with self._measured():
            return (yield)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        """Measure meanwhile; a fixture may ask for another one."""
        if self._coverage is None or not self._wanted:
            yield
            return
        if not self._depth:
            self._coverage.start()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._coverage.stop()


def _reaches_the_relay(test: pytest.Item) -> bool:
    """Return whether a test runs code of the relay in this process that no other test does."""
    fixtures = set(getattr(test, "fixturenames", ()))
    if test.nodeid.startswith(UNMEASURED) or fixtures & BROWSERS:
        return False
    if test.nodeid.startswith("tests/system/"):
        return "embedded" in fixtures or not fixtures & GATEWAY_PROCESSES
    return True
