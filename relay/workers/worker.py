"""One worker as the supervisor sees it: a process, the line to it, and what was last heard from it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from relay.logs import Logger
from relay.settings import Settings
from relay.workers.messages import Begin, Drain, End, Failed, Listening, Order, State, TellState, TellWhole, Whole
from relay.workers.pipe import Link
from relay.workers.shared_sockets import Listeners

END_SECONDS: Final = 5.0
"""How long a process may take to end once it has hung up."""

TELL_AGAIN_SECONDS: Final = 1.0
"""Pause after a survey that failed."""

BLOCKED: Final = (signal.SIGTERM, signal.SIGINT)
"""Signals that a fresh process leaves waiting until it can handle them: Ctrl-C on a terminal reaches it, too."""

log = Logger("relay.workers")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended.

    Args:
        code: exit code, or the negative number of a signal.
        listened: whether it has accepted clients.
        reason: why it could not start; None when it didn't say.
        seconds: how long it has lived.
    """

    code: int
    listened: bool
    reason: str | None
    seconds: float

    def __str__(self) -> str:
        if self.reason is not None:
            return self.reason
        return f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with exit code {self.code}"


class Worker:
    """A place for one process after the other.

    Args:
        number: of the worker, from 1.
        settings: that it runs with.
        command: that starts a process; the number of a file descriptor, its end of the line, is added.
        tell_whole: tells how all workers are, when one asks.

    Attributes:
        number: of the worker.
        listening: whether its process accepts clients.
        state: what was last heard from its process; None: nothing yet.
        silent_seconds: for how long it was seen to owe an answer; see `relay.workers.watchdog`.
    """

    def __init__(
        self, number: int, settings: Settings, command: Sequence[str], tell_whole: Callable[[], Awaitable[Whole]]
    ) -> None:
        self.number = number
        self.listening = False
        self.state: State | None = None
        self.silent_seconds = 0.0
        self._settings = settings
        self._command = command
        self._tell_whole = tell_whole
        self._process: asyncio.subprocess.Process | None = None
        self._link: Link | None = None
        self._handover: socket.socket | None = None
        self._listeners = Listeners()
        self._last_order: Drain | End | None = None
        self._answer: asyncio.Future[State] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def live(self, on_listening: Callable[[Listening], None]) -> Ending:
        """Start a process and return when it has ended; when cancelled, it is killed.

        Args:
            on_listening: called once when it accepts clients.
        """
        began = asyncio.get_running_loop().time()
        reason: str | None = None
        listened = False
        try:
            link, process = await self._begin()
        except OSError as error:  # no memory, no descriptor, or the program is being replaced: later there may be
            return Ending(1, listened, f"cannot start a process: {error.strerror}", 0.0)
        log.info("worker started", worker=self.number, pid=process.pid)
        try:
            while (report := await link.receive()) is not None:
                match report:
                    case Listening():
                        listened = self.listening = True
                        if self._handover is not None:
                            self._listeners.take(self._handover)
                        on_listening(report)
                    case Failed(reason):
                        pass
                    case State():
                        self._heard(report)
                    case TellWhole():
                        task = asyncio.create_task(self._tell(link))
                        self._telling.add(task)
                        task.add_done_callback(self._telling.discard)
            self._listeners.close()
            code = await self._ended(process)
        finally:
            await self._leave(process, link)
        return Ending(code, listened, reason, asyncio.get_running_loop().time() - began)

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked, and has not answered yet."""
        return self._answer is not None

    @property
    def accepting(self) -> bool:
        """Whether new clients come to it."""
        return self.listening and not self._listeners.stopped

    def stop_listening(self) -> None:
        """Let new clients go to the others."""
        self._listeners.stop()

    def resume_listening(self) -> None:
        """Undo `stop_listening`, unless it is about to end, and has stopped itself."""
        ending = self._last_order is not None or (self.state is not None and self.state.snapshot.gauges.draining)
        if self._listeners.stopped and not ending:
            self._listeners.resume()

    def ask(self) -> asyncio.Future[State]:
        """Ask how it is; the future is cancelled when its process ends. A silent one is not asked twice."""
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._send(TellState())
        return self._answer

    def order(self, order: Drain | End) -> None:
        """Tell this process, and any that is still to come, to drain or to end."""
        self._last_order = order
        self._send(order)

    def kill(self) -> None:
        """End its process, if there is one, whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _begin(self) -> tuple[Link, asyncio.subprocess.Process]:
        """Start a process and say the first words to it.

        Raises:
            OSError: there can't be one now.
        """
        ours, theirs = socket.socketpair()
        taker, giver = socket.socketpair()
        with theirs, giver:
            link = await Link.open(ours)
            try:
                process = await _start(self._command, theirs, giver)
            except BaseException:
                taker.close()
                await link.close()
                raise
            link.send(Begin(self.number, self._settings, giver.fileno()))
        if self._last_order is not None:
            link.send(self._last_order)
        # Only now: an order that has come meanwhile would have been its first word.
        self._link, self._process, self._handover = link, process, taker
        return link, process

    def _send(self, order: Order) -> None:
        if self._link is not None:
            self._link.send(order)

    def _heard(self, state: State) -> None:
        self.state = state
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(state)

    async def _tell(self, link: Link) -> None:
        """Answer; the process doesn't ask again before."""
        while True:
            try:
                link.send(await self._tell_whole())
                return
            except Exception:
                log.exception("survey failed")
            await asyncio.sleep(TELL_AGAIN_SECONDS)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Return the exit code of a process that has hung up."""
        try:
            async with asyncio.timeout(END_SECONDS):
                return await process.wait()
        except TimeoutError:
            self.kill()
            return await process.wait()

    async def _leave(self, process: asyncio.subprocess.Process, link: Link) -> None:
        self.listening = False
        self.silent_seconds = 0.0
        self.kill()
        await process.wait()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()
        for task in self._telling:
            task.cancel()
        self._listeners.close()
        if self._handover is not None:
            self._handover.close()
        self._link = self._process = self._handover = None
        await link.close()


async def _start(command: Sequence[str], *ends: socket.socket) -> asyncio.subprocess.Process:
    """Start a process that finds the same modules as this one, and its ends of some lines; it is told of the first."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            str(ends[0].fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[end.fileno() for end in ends],
            env={**os.environ, "PYTHONPATH": path},
        )
    finally:
        # Not back to what it was before: several are started at the same time, and each would see the others' block.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
