"""Lets each process of xdist load only the test files that it runs, and those only when their turn comes.

By itself each of them loads all of the hundreds and collects the thousands of tests, to run a part of them: in a fresh
clone, where none is compiled, that takes ten seconds of a processor for each process.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Self

import pytest


class FileByFile:
    """A plugin of pytest, for the processes of xdist: it collects one item for each file."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Collector:
        """Take the file as it is."""
        return UnopenedFile.from_parent(parent, path=module_path)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Keep whole files from plugins that choose among tests; these choose once a file is open."""
        files = [item for item in items if isinstance(item, WholeFile)]
        items[:] = [item for item in items if not isinstance(item, WholeFile)]
        yield
        items += files

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run all tests of a file where one item stands for them."""
        if not isinstance(item, WholeFile):
            return None
        item.run_tests(nextitem)
        return True


class UnopenedFile(pytest.File):
    """A file with tests that is not loaded."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return the one item that stands for all tests."""
        yield WholeFile.from_parent(self, name="all")


class WholeFile(pytest.Item):
    """All tests of a file that is loaded once they run."""

    @classmethod
    def from_parent(cls, parent: pytest.Collector, *, name: str) -> Self:  # type: ignore[override]
        """Make it, without a time limit: each of its tests has one."""
        item: Self = super().from_parent(parent, name=name)
        item.add_marker(pytest.mark.timeout(0))
        return item

    def runtest(self) -> None:
        """Refuse: its tests run, and not itself."""
        raise NotImplementedError

    def run_tests(self, following: pytest.Item | None) -> None:
        """Load the file, and run the tests that are chosen.

        Args:
            following: what runs after the last of them, and may go on with fixtures of the session.
        """
        tests = self._open()
        if not tests:  # none is chosen: what ran before has kept what this file would have shared with it
            self.session._setupstate.teardown_exact(following)
        place = self.session.items.index(self)  # where xdist compares what a report is about
        try:
            for test, after in zip(tests, [*tests[1:], following], strict=False):
                self.session.items[place] = test
                self.config.hook.pytest_runtest_protocol(item=test, nextitem=after)
                if self.session.shouldfail or self.session.shouldstop:
                    break
        finally:
            self.session.items[place] = self

    def _open(self) -> list[pytest.Item]:
        assert self.parent is not None
        module = pytest.Module.from_parent(self.parent.parent, path=self.path)
        gc.disable()
        try:
            tests = list(self.session.genitems(module))
            self.config.hook.pytest_collection_modifyitems(session=self.session, config=self.config, items=tests)
        finally:
            gc.enable()
        # What is loaded stays: those tests that collect garbage, and count what is alive, needn't look through it.
        gc.collect()
        gc.freeze()
        return tests
