"""A load test against a server whose behaviour is known; those of one module run beside each other.

Each spends most of its time waiting, so that together they take little longer than one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import pytest

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Result, Step
from tests.harness.load_test import Outcome, run_load_test

BRIEF = (
    *("--url-template", "{url}/ws/{channel}?client={client}", "--workers", "1"),
    *("--warm-up", "0s", "--duration", "1s", "--settle", "0.1s", "--drain", "2s"),
)
SMALL = (*BRIEF, "--clients", "4", "--publishers", "1", "--rate", "200")
"""200 messages and 800 deliveries."""

AT_ONCE = 6
SECONDS = 60.0


class TriedServer(Protocol):
    """A server to be tried: an async context manager."""

    @property
    def url(self) -> str:
        """Address without a path."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


Server = TypeVar("Server", bound=TriedServer)


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """What is to be tried.

    Args:
        server: makes it.
        options: of the load test, on top of the basis.
        base: options that many trials have.
    """

    server: Callable[[], TriedServer]
    options: tuple[str, ...]
    base: tuple[str, ...] = SMALL


@dataclass(frozen=True, slots=True)
class Tried(Generic[Server]):
    """What came of it.

    Args:
        server: after the run, with all its counts.
        outcome: of the load test.
    """

    server: Server
    outcome: Outcome

    @property
    def code(self) -> int:
        """Exit code."""
        return self.outcome.code

    @property
    def result(self) -> Result:
        """What was written as JSON."""
        return self.outcome.result

    @property
    def faults(self) -> Faults:
        """All faults."""
        return self.result.faults

    @property
    def step(self) -> Step:
        """The only step."""
        (step,) = self.result.steps
        return step


def against(server: Callable[[], TriedServer], *options: str) -> pytest.MarkDecorator:
    """Return a mark: the test's argument `tried` is the load test against this server with these options."""
    return against_each(run=Trial(server, options))


def against_each(**trials: Trial) -> pytest.MarkDecorator:
    """Return a mark for a test that is run with each of several trials."""
    return pytest.mark.parametrize("tried", trials.values(), ids=trials, indirect=True)


def counts(faults: Faults) -> dict[str, int]:
    """Return all counts of messages that aren't 0."""
    names = ("lost", "duplicated", "reordered", "foreign", "unexpected", "unsent", "missed", "told")
    return {name: getattr(faults, name) for name in names if getattr(faults, name)}


async def run_trials(trials: Iterable[Trial]) -> dict[Trial, Tried[TriedServer] | Exception]:
    """Run all trials, some at a time, and return what came of each; an exception if it could not be ended."""
    some = asyncio.Semaphore(AT_ONCE)

    async def run(trial: Trial) -> Tried[TriedServer] | Exception:
        async with some, trial.server() as server:
            try:
                return Tried(server, await run_load_test(server.url, *trial.base, *trial.options, within=SECONDS))
            except (TimeoutError, AssertionError) as error:
                return error

    ordered = list(trials)
    return dict(zip(ordered, await asyncio.gather(*map(run, ordered)), strict=True))
