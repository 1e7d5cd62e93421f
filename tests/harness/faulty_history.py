"""Servers that do wrong to clients which come back, or to those who publish, in ways that are known."""

from __future__ import annotations

from collections.abc import Iterable

from tests.harness.history_server import HistoryRequest, HistoryServer, HistorySession, Message, respond


class FaultyHistoryServer(HistoryServer):
    """Does something wrong to the first so many messages of each session of a client that came back.

    Args:
        times: how many messages of a session are concerned.
    """

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.times = times

    def turn(self, session: HistorySession, offset: int) -> bool:
        """Return whether this message is one to do wrong to."""
        if not session.resumed or session.turns >= self.times:
            return False
        session.turns += 1
        self.faults.append((session, offset))
        return True


class DroppingHistory(FaultyHistoryServer):
    """Drops the message: it claims that what it sends is whole, and it isn't."""

    def deliver(self, session: HistorySession, message: Message) -> Iterable[Message]:
        """See `HistoryServer`."""
        return [] if self.turn(session, message[0]) else [message]


class DoublingHistory(FaultyHistoryServer):
    """Sends the message twice."""

    def deliver(self, session: HistorySession, message: Message) -> Iterable[Message]:
        """See `HistoryServer`."""
        return [message, message] if self.turn(session, message[0]) else [message]


class SwappingHistory(FaultyHistoryServer):
    """Sends the message behind the next one."""

    def deliver(self, session: HistorySession, message: Message) -> Iterable[Message]:
        """See `HistoryServer`."""
        if self.turn(session, message[0]):
            session.held = message
            return []
        held, session.held = session.held, None
        return [message] if held is None else [message, held]


class RepeatingHistory(HistoryServer):
    """Begins with the last message that the client has already: replay off by one."""

    def kept(self, messages: int, since: int) -> int | None:
        """See `HistoryServer`."""
        return since - 1


class ShortHistory(HistoryServer):
    """Keeps no message for anybody who has missed one.

    Args:
        tells: whether it says so; otherwise it claims that nothing is missing.
    """

    def __init__(self, *, tells: bool) -> None:
        super().__init__()
        self._tells = tells

    def kept(self, messages: int, since: int) -> int | None:
        """See `HistoryServer`."""
        if messages == since:
            return since
        return None if self._tells else messages


class ForgetfulPublishing(HistoryServer):
    """Doesn't acknowledge what it publishes, once in so many messages.

    Args:
        every: one in so many.
        doubles: whether it publishes again what comes again.
    """

    def __init__(self, every: int, *, doubles: bool = False) -> None:
        super().__init__()
        self._every = every
        self._doubles = doubles
        self.unanswered = 0

    def acknowledge(self, session: HistorySession, again: bool) -> bool:
        """See `HistoryServer`."""
        forgets = not again and self.published.total() % self._every == 0
        self.unanswered += forgets
        return not forgets

    def known(self, key: str) -> bool:
        """See `HistoryServer`."""
        return super().known(key) and not self._doubles


class RefusingHistory(HistoryServer):
    """Ends each session of a client that comes back with an answer of another status.

    Args:
        status: of the answer.
        times: how many are refused in all.
    """

    def __init__(self, status: int, times: int) -> None:
        super().__init__()
        self._status = status
        self._times = times

    async def answer(self, session: HistorySession, request: HistoryRequest) -> None:
        """See `HistoryServer`."""
        position = request.headers.get("last-event-id") or request.parameter("cursor")
        if position and session.resumed is None and self._times:
            self._times -= 1
            respond(session, self._status, b"no")
            session.end()
            return
        await super().answer(session, request)


class StrictHistory(HistoryServer):
    """Refuses all who ask for the newest messages.

    Args:
        status: of the answer.
        keeps: whether a channel keeps its messages.
    """

    def __init__(self, status: int, *, keeps: bool = True) -> None:
        super().__init__(keeps=keeps)
        self._status = status

    async def answer(self, session: HistorySession, request: HistoryRequest) -> None:
        """See `HistoryServer`."""
        if request.parameter("history"):
            respond(session, self._status, b"no")
        else:
            await super().answer(session, request)


class WithoutPositions(HistoryServer):
    """Tells streams no positions."""

    def position(self, offset: int) -> str:
        """See `HistoryServer`."""
        return "" if offset % 10 else super().position(offset)
