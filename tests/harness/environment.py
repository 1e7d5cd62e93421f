"""The same surroundings for every test run, whoever starts it and how: a shell, a background job, nohup, cron, CI."""

from __future__ import annotations

import locale
import os
import signal
from typing import Final

KEPT: Final = frozenset({"HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER"})
"""Environment variables that are left as they are: where things are, not how they work."""

KEPT_PREFIXES: Final = ("COVERAGE_", "COV_", "PYTEST_", "DOCKER_", "BUILDKIT_", "SSL_CERT_")
"""Of variables that tools of the test run itself need."""

_RESTORED: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def neutralize() -> None:
    """Take everything from this process, and so from the programs that it starts, that another run might not have.

    Settings of the relay and of Python, colours, widths, proxies and languages go. Programs start with the usual
    actions of signals: ignored ones, as nohup and background jobs of a shell have them, would be inherited.
    """
    for name in [name for name in os.environ if name not in KEPT and not name.startswith(KEPT_PREFIXES)]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _RESTORED)
    for number in _RESTORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            # For this process it stays as it was; unlike an ignored signal, a handled one isn't inherited.
            signal.signal(number, _ignore)


def _ignore(number: int, frame: object) -> None:
    pass
