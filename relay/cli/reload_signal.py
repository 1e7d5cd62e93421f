"""SIGHUP: a process reads again what may change while it runs, the certificate for TLS."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final

from relay.settings import Settings

RELOAD: Final = getattr(signal, "SIGHUP", None)
"""None on Windows."""


def reload_at_signal(settings: Settings, reload: Callable[[], None]) -> None:
    """Handle SIGHUP in this process; call inside a running event loop.

    Without a certificate there is nothing to read again, and SIGHUP ends a process as it ends others: it comes when a
    terminal is closed, too.

    Args:
        settings: of the gateway.
        reload: called for each signal.
    """
    if RELOAD is not None and settings.tls_cert is not None:
        asyncio.get_running_loop().add_signal_handler(RELOAD, reload)
