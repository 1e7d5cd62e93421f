"""Histories that are written by hand, in which each operation comes a second after the one before."""

from __future__ import annotations

from typing import Literal, Self

from msgspec.structs import replace

from tests.faults.judge import Verdict, judge
from tests.faults.operations import (
    Acknowledged,
    AnyOperation,
    Ended,
    Fault,
    Finished,
    History,
    Keeps,
    Kind,
    Published,
    Received,
    Refused,
    Setup,
    Subscribed,
    ToldMissed,
)

GAP_SECONDS = 30.0


class Script:
    """A history in the making. Messages are published in the channel `c`, unless it is said.

    Args:
        keeps: what is kept of it.
        on_gap: `RELAY_ON_GAP`.
    """

    def __init__(self, keeps: Keeps = "plain", on_gap: Literal["close", "keep"] = "close") -> None:
        self.history: History = []
        self.now = 0.0
        channels: dict[str, Keeps] = {"c": keeps, "d": "plain"}
        self._add(Setup(at=0.0, seed=1, channels=channels, gateways=1, on_gap=on_gap, gap_seconds=GAP_SECONDS))

    def _add(self, operation: AnyOperation) -> Self:
        self.history.append(operation)
        self.now = self.now + 1
        return self

    def wait(self, seconds: float) -> Self:
        """Let time pass."""
        self.now += seconds
        return self

    def publishes(self, *messages: str, channel: str = "c", keyed: bool = False) -> Self:
        """Let messages be published, and their fate be unknown."""
        for label in messages:
            self._add(
                Published(at=self.now, message=label, publisher="p", channel=channel, digest=f"#{label}", keyed=keyed)
            )
        return self

    def acknowledged(self, message: str, position: str | None = None) -> Self:
        """Let a message be acknowledged."""
        return self._add(Acknowledged(at=self.now, message=message, position=position))

    def published(self, *messages: str) -> Self:
        """Let messages be published and acknowledged, one after the other."""
        for label in messages:
            self.publishes(label).acknowledged(label)
        return self

    def refused(self, message: str) -> Self:
        """Let a message be refused."""
        return self._add(Refused(at=self.now, message=message))

    def hears(
        self,
        session: str,
        kind: Kind = "events",
        since: str | None = None,
        position: str | None = None,
        *,
        recovered: bool = True,
        speechless: bool = False,
    ) -> Self:
        """Let a session begin; with `since` it lacks nothing, unless it is said."""
        begun = Subscribed(at=self.now, session=session, subscriber=session[0], kind=kind, channel="c", gateway=0)
        told = None if since is None else recovered
        return self._add(replace(begun, since=since, recovered=told, position=position, speechless=speechless))

    def gets(self, session: str, *messages: str, digest: str | None = None) -> Self:
        """Let messages come to a session, as `label` or `label@position`."""
        for message in messages:
            label, _, position = message.partition("@")
            self._add(
                Received(
                    at=self.now, session=session, message=label, digest=digest or f"#{label}", position=position or None
                )
            )
        return self

    def told(self, session: str, position: str | None = None) -> Self:
        """Let a session be told that it may lack something."""
        return self._add(ToldMissed(at=self.now, session=session, position=position))

    def ends(self, session: str, code: int | None = None) -> Self:
        """Let a session end."""
        return self._add(Ended(at=self.now, session=session, code=code))

    def fault(self, at: float, ended: float, *, forgets: bool = False, gateway: int | None = None) -> Self:
        """Note a fault of some time."""
        return self._add(Fault(at=at, kind="redis killed", detail="", ended=ended, forgets=forgets, gateway=gateway))

    def judged(self) -> Verdict:
        """Return the verdict on what happened until now."""
        return judge(self.history)

    def finished(self) -> Verdict:
        """Return the verdict when nothing more comes."""
        return judge([*self.history, Finished(at=self.now + 1000)])
