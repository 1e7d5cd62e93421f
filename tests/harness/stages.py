"""Watching the stages of HTTP connections: a change that the table doesn't have fails the test that made it."""

from __future__ import annotations

from typing import Any

import pytest

from relay.web.http_socket import HttpSocket
from relay.web.request_stage import NEXT, Stage


class WatchedStage:
    """Takes the place of the attribute `_stage` of all connections, and notes each change.

    Attributes:
        seen: the changes, from a stage to another.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[Stage, Stage]] = set()
        self._slot: Any = HttpSocket.__dict__["_stage"]

    def __get__(self, connection: HttpSocket, owner: type) -> Stage:
        stage: Stage = self._slot.__get__(connection, owner)
        return stage

    def __set__(self, connection: HttpSocket, stage: Stage) -> None:
        before = getattr(connection, "_stage", None)
        if before is not None and before is not stage:
            self.seen.add((before, stage))
        self._slot.__set__(connection, stage)

    @property
    def illegal(self) -> set[tuple[Stage, Stage]]:
        """The changes that the table doesn't have."""
        return {(before, after) for before, after in self.seen if after not in NEXT[before]}


def watch_stages(monkeypatch: pytest.MonkeyPatch) -> WatchedStage:
    """Watch all connections of this process until the end of a test."""
    watched = WatchedStage()
    monkeypatch.setattr(HttpSocket, "_stage", watched)
    return watched
