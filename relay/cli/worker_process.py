"""The life of a worker: a gateway that shares its port, and does what its supervisor says.

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
from relay.cli.gateway_process import FAILED, SIGNALS, STOPPED, live, loop_factory, why_not
from relay.errors import RelayError
from relay.gateway import Gateway
from relay.logs import configure_logs
from relay.workers.messages import Begin, Drain, End, Failed, Listening, State, TellState, Whole
from relay.workers.pipe import Link, receive_blocking
from relay.workers.shared_sockets import hand_over
from relay.workers.supervisor_client import SupervisorClient

_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Run a worker until it is told to end; return its exit code."""
    end = socket.socket(fileno=int(sys.argv[1]))
    _die_with_the_supervisor()
    try:
        begin: Begin = receive_blocking(end)
    except EOFError:
        return FAILED  # the supervisor is gone
    settings = begin.settings
    configure_logs(settings.log_level, settings.log_format, worker=begin.worker)
    with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
        return runner.run(_live(begin, end))


def _die_with_the_supervisor() -> None:
    """Be killed when it ends, however it does and whatever hangs here. The line tells as well, should it be gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


async def _live(begin: Begin, end: socket.socket) -> int:
    first, second = asyncio.Event(), asyncio.Event()
    _install(first.set)
    link = await Link.open(end)
    supervisor = SupervisorClient(link)
    gateway = relay.Gateway(begin.settings, workers=supervisor)
    listening = asyncio.create_task(_obey(link, gateway, supervisor, first, second))
    try:
        drained = await live(gateway, first, second, lambda: _say_listening(begin, gateway, link))
        # All that it has counted: the supervisor's last look was before its last clients left.
        link.send(State(gateway.problems, await gateway.snapshot()))
        return STOPPED if drained else FAILED
    except OSError as error:
        link.send(Failed(why_not(error, begin.settings)))
    except RelayError as error:
        link.send(Failed(str(error)))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await link.close()
    return FAILED


def _say_listening(begin: Begin, gateway: Gateway, link: Link) -> None:
    """Hand over the listening sockets, and then say that there are some."""
    with socket.socket(fileno=begin.handover) as to:
        hand_over(gateway.listening_sockets, to)
    link.send(Listening(gateway.build))


def _install(drain: Callable[[], None]) -> None:
    """Drain at any of the signals, however often they come.

    A terminal and some service managers signal all processes, and then the supervisor says it again: only it can
    tell a second signal from the same one.
    """
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, drain)
    # Until now they waited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


async def _obey(
    link: Link, gateway: Gateway, supervisor: SupervisorClient, first: asyncio.Event, second: asyncio.Event
) -> None:
    """Do what the supervisor says, until it is gone."""
    while (order := await link.receive()) is not None:
        match order:
            case TellState():
                link.send(State(gateway.problems, await gateway.snapshot()))
            case Whole():
                supervisor.answered(order)
            case Drain():
                first.set()
            case End():
                break
    first.set()
    second.set()


if __name__ == "__main__":
    sys.exit(main())
