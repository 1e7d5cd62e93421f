"""The process of a worker: a gateway that shares its port, and obeys its supervisor.

Started as `python -m relay.cli.worker_process FD`, with one end of a socket pair as the file descriptor FD. It never
outlives its supervisor.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

import relay
from relay.cli.gateway_process import FAILED, STOPPED, explain_start_failure, loop_factory, run_until_ended
from relay.cli.options import WRONG_SETTINGS
from relay.cli.reload_signal import reload_at_signal
from relay.cli.stop_signals import SIGNALS
from relay.errors import RelayError
from relay.gateway import Gateway
from relay.logs import configure_logs
from relay.settings.problem import SettingsError
from relay.workers.child_process import BLOCKED_SIGNALS
from relay.workers.messages import (
    CombinedStatus,
    Drain,
    Listening,
    Reload,
    Start,
    StartFailed,
    StatusRequest,
    Stop,
    SupervisorMessage,
    WorkerStatus,
)
from relay.workers.pipe import Pipe, receive_blocking
from relay.workers.shared_sockets import send_sockets
from relay.workers.supervisor_client import SupervisorClient

_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Run a worker until it is told to end; return its exit code."""
    end = socket.socket(fileno=int(sys.argv[1]))
    _die_with_the_supervisor()
    try:
        start: Start = receive_blocking(end)
    except EOFError:
        return FAILED  # the supervisor is gone
    settings = start.settings
    configure_logs(settings.log_level, settings.log_format, worker=start.worker)
    with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
        return runner.run(_run(start, end))


def _die_with_the_supervisor() -> None:
    """Have the kernel kill this process when its supervisor ends, even when this process hangs.

    A supervisor that has ended before this call closed the pipe, which ends this process, too.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


async def _run(start: Start, end: socket.socket) -> int:
    drain, stop = asyncio.Event(), asyncio.Event()
    pipe = await Pipe.open(end)
    supervisor = SupervisorClient(pipe)
    try:
        gateway = relay.Gateway(start.settings, workers=supervisor)
    except SettingsError as error:
        pipe.send(StartFailed(str(error), final=True))
        await pipe.close()
        return WRONG_SETTINGS
    reload_at_signal(start.settings, gateway.reload)
    _drain_at_signals(drain.set)
    obeying = asyncio.create_task(_obey(pipe, gateway, supervisor, drain, stop))
    try:
        drained = await run_until_ended(gateway, drain, stop, lambda: _report_listening(start, gateway, pipe))
        # The final totals: the supervisor's last request was before the last clients left.
        pipe.send(await _status(gateway))
        return STOPPED if drained else FAILED
    except OSError as error:
        pipe.send(StartFailed(explain_start_failure(error, start.settings)))
    except RelayError as error:
        pipe.send(StartFailed(str(error)))
    finally:
        obeying.cancel()
        await asyncio.gather(obeying, return_exceptions=True)
        await pipe.close()
    return FAILED


async def _status(gateway: Gateway) -> WorkerStatus:
    return WorkerStatus(gateway.problems, await gateway.snapshot(), gateway.notes)


def _report_listening(start: Start, gateway: Gateway, pipe: Pipe) -> None:
    """Send the listening sockets, and then the message that tells the supervisor to receive them."""
    with socket.socket(fileno=start.sockets_fd) as to:
        send_sockets(gateway.listening_sockets, to)
    pipe.send(Listening(gateway.build))


def _drain_at_signals(drain: Callable[[], None]) -> None:
    """Drain at any of the signals, however often they come.

    A terminal and some service managers signal all processes, and the supervisor then passes the signal on: only the
    supervisor can tell a second signal from that repetition.
    """
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, drain)
    # They were blocked when the process started, and are pending since.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)


async def _obey(
    pipe: Pipe, gateway: Gateway, supervisor: SupervisorClient, drain: asyncio.Event, stop: asyncio.Event
) -> None:
    """Handle the supervisor's messages, until it sends `Stop` or is gone; then stop the gateway."""
    message: SupervisorMessage
    while (message := await pipe.receive()) is not None:
        match message:
            case StatusRequest():
                pipe.send(await _status(gateway))
            case CombinedStatus():
                supervisor.receive(message)
            case Reload():
                gateway.reload()
            case Drain():
                drain.set()
            case Stop():
                break
    drain.set()
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
