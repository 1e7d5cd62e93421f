"""One worker as the supervisor sees it: its process, the pipe to it, and its last known status."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from relay.logs import Logger
from relay.settings import Settings
from relay.workers.child_process import ProcessExit, spawn
from relay.workers.messages import (
    CombinedStatus,
    CombinedStatusRequest,
    Drain,
    Listening,
    Reload,
    Start,
    StartFailed,
    StatusRequest,
    Stop,
    SupervisorMessage,
    WorkerMessage,
    WorkerStatus,
)
from relay.workers.pipe import Pipe
from relay.workers.shared_sockets import SharedSockets
from relay.workers.timing import DEFAULT_TIMING, Timing

RETRY_SECONDS: Final = 1.0
"""Pause after a request for the combined status that failed."""

log = Logger("relay.workers")


class Worker:
    """One worker: one process at a time, and after it the next.

    Args:
        number: of the worker, from 1.
        settings: that its processes run with.
        command: that starts a process; the file descriptor of its end of the pipe is added as the last argument.
        combined_status: returns the status of all workers, for a worker that requests it.
        timing: `exit_timeout` is used.

    Attributes:
        number: of the worker.
        listening: whether its process accepts clients.
        status: last known status of its process; None before the first.
        silent_seconds: for how long the watchdog has seen it owe an answer; see `relay.workers.watchdog`.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        command: Sequence[str],
        combined_status: Callable[[], Awaitable[CombinedStatus]],
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self.number = number
        self.listening = False
        self.status: WorkerStatus | None = None
        self.silent_seconds = 0.0
        self._settings = settings
        self._command = command
        self._combined_status = combined_status
        self._timing = timing
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: Pipe | None = None
        self._sockets_source: socket.socket | None = None
        self._sockets = SharedSockets()
        self._ending: Drain | Stop | None = None
        self._answer: asyncio.Future[WorkerStatus] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def run_process(self, on_listening: Callable[[Listening], None]) -> ProcessExit:
        """Start a process, and return when it has ended; when cancelled, it is killed.

        Args:
            on_listening: called once when it accepts clients.
        """
        started_at = asyncio.get_running_loop().time()
        reason: str | None = None
        listened = final = False
        try:
            pipe, process = await self._start()
        except OSError as error:  # no memory, no descriptor, or the program is being replaced: later there may be
            return ProcessExit(1, listened, f"cannot start a process: {error.strerror}", 0.0)
        log.info("worker started", worker=self.number, pid=process.pid)
        message: WorkerMessage
        try:
            while (message := await pipe.receive()) is not None:
                match message:
                    case Listening():
                        listened = self.listening = True
                        if self._sockets_source is not None:
                            self._sockets.receive(self._sockets_source)
                        on_listening(message)
                    case StartFailed(reason, final):
                        pass
                    case WorkerStatus():
                        self._receive_status(message)
                    case CombinedStatusRequest():
                        task = asyncio.create_task(self._send_combined_status(pipe))
                        self._answering.add(task)
                        task.add_done_callback(self._answering.discard)
            self._sockets.close()
            code = await self._wait_for_exit(process)
        finally:
            await self._clean_up(process, pipe)
        return ProcessExit(code, listened, reason, asyncio.get_running_loop().time() - started_at, final)

    @property
    def pid(self) -> int | None:
        """Process id; None while there is no process."""
        return None if self._process is None else self._process.pid

    @property
    def owes_answer(self) -> bool:
        """Whether its status was requested, and it has not answered yet."""
        return self._answer is not None

    @property
    def accepting(self) -> bool:
        """Whether the kernel gives it new clients."""
        return self.listening and not self._sockets.stopped

    def stop_listening(self) -> None:
        """Let the kernel give new clients to the other workers."""
        self._sockets.stop()

    def resume_listening(self) -> None:
        """Undo `stop_listening`, unless the worker is about to end, and has stopped listening itself."""
        ending = self._ending is not None or (self.status is not None and self.status.snapshot.gauges.draining)
        if self._sockets.stopped and not ending:
            self._sockets.resume()

    def request_status(self) -> asyncio.Future[WorkerStatus]:
        """Request its status, unless it owes an answer; the future is cancelled when its process ends."""
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._send(StatusRequest())
        return self._answer

    def reload(self) -> None:
        """Tell its process to read again what may change while it runs; the next one does so anyway."""
        self._send(Reload())

    def drain(self) -> None:
        """Tell this process, and any later one, to drain."""
        self._end(Drain())

    def stop(self) -> None:
        """Tell this process, and any later one, to stop at once."""
        self._end(Stop())

    def kill(self) -> None:
        """Kill its process, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _start(self) -> tuple[Pipe, asyncio.subprocess.Process]:
        """Start a process, and send it the first message.

        Raises:
            OSError: the system can't start one now.
        """
        ours, theirs = socket.socketpair()
        sockets_source, sockets_target = socket.socketpair()
        with theirs, sockets_target:
            pipe = await Pipe.open(ours)
            try:
                process = await spawn(self._command, theirs, sockets_target)
            except BaseException:
                sockets_source.close()
                await pipe.close()
                raise
            pipe.send(Start(self.number, self._settings, sockets_target.fileno()))
        if self._ending is not None:
            pipe.send(self._ending)
        # Not before: a `Drain` that came meanwhile would have been the first message.
        self._pipe, self._process, self._sockets_source = pipe, process, sockets_source
        return pipe, process

    def _end(self, message: Drain | Stop) -> None:
        self._ending = message
        self._send(message)

    def _send(self, message: SupervisorMessage) -> None:
        if self._pipe is not None:
            self._pipe.send(message)

    def _receive_status(self, status: WorkerStatus) -> None:
        self.status = status
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(status)

    async def _send_combined_status(self, pipe: Pipe) -> None:
        """Answer a request for the combined status; the process sends no other before it has the answer."""
        while True:
            try:
                pipe.send(await self._combined_status())
                return
            except Exception:
                log.exception("survey failed")
            await asyncio.sleep(RETRY_SECONDS)

    async def _wait_for_exit(self, process: asyncio.subprocess.Process) -> int:
        """Return the exit code of a process that has closed its pipe."""
        try:
            async with asyncio.timeout(self._timing.exit_timeout):
                return await process.wait()
        except TimeoutError:
            self.kill()
            return await process.wait()

    async def _clean_up(self, process: asyncio.subprocess.Process, pipe: Pipe) -> None:
        self.listening = False
        self.silent_seconds = 0.0
        self.kill()
        await process.wait()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()
        for task in self._answering:
            task.cancel()
        self._sockets.close()
        if self._sockets_source is not None:
            self._sockets_source.close()
        self._pipe = self._process = self._sockets_source = None
        await pipe.close()
