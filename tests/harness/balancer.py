"""A load balancer of a deployment, for tests without an event loop."""

from __future__ import annotations

import asyncio
import ssl
from threading import Thread
from types import TracebackType
from typing import Self

from tests.harness.tcp_proxy import TcpProxy


class Balancer:
    """Sends each new connection to the first of some gateways that answers. A context manager.

    Args:
        targets: ports of 127.0.0.1.
        tls: what to speak towards clients; None: nothing but TCP.
    """

    def __init__(self, *targets: int, tls: ssl.SSLContext | None = None) -> None:
        self._proxy = TcpProxy(*targets, tls=tls)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """Port that clients connect to."""
        return self._proxy.port

    def prefer(self, *targets: int) -> None:
        """Change the order for connections to come; without any, all of them are dropped."""
        self._loop.call_soon_threadsafe(setattr, self._proxy, "targets", targets)

    def cut(self) -> None:
        """Abort all connections."""
        self._loop.call_soon_threadsafe(self._proxy.cut)

    def fall_silent(self) -> None:
        """Forward nothing any more, in either direction; connections stay open."""
        self._loop.call_soon_threadsafe(setattr, self._proxy, "black_hole", True)

    def recover(self) -> None:
        """Forward again, and what was held back as well."""
        self._loop.call_soon_threadsafe(setattr, self._proxy, "black_hole", False)
