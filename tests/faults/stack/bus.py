"""The Redis of a run: a primary, and a replica that takes its place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

USER, PASSWORD = "relay", "secret"
RIGHTS: Final = ("~*", "&*", "+@all")

BUS_BUFFER_BYTES: Final = 65536
"""That the kernel may hold of what Redis has sent: so that a subscriber that doesn't read is noticed by Redis."""


class Bus:
    """Two Redis servers, and the networks that lead to the primary. An async context manager.

    Attributes:
        primary: the server in use.
        replica: the other one.
        replication: the network between them.
        networks: those that lead from a client of Redis to the primary.
    """

    def __init__(self) -> None:
        login = ("--user", USER, "on", f">{PASSWORD}", *RIGHTS)
        self.primary, self.replica = (RedisServer(options=login) for _ in range(2))
        self.replication = TcpProxy(self.primary.port)
        self.networks: list[TcpProxy] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for server in (self.primary, self.replica):
                self._stack.callback(server.close)
                await asyncio.to_thread(server.start)
            await self._stack.enter_async_context(self.replication)
            await self.replicate()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def connect(self) -> tuple[TcpProxy, str]:
        """Return a new network that leads to the primary, and its address for a client of Redis."""
        network = await self._stack.enter_async_context(TcpProxy(self.primary.port, buffer=BUS_BUFFER_BYTES))
        self.networks.append(network)
        return network, f"redis://{USER}:{PASSWORD}@127.0.0.1:{network.port}"

    async def replicate(self) -> None:
        """Let the replica follow the primary, by the network between them."""
        self.replication.targets = (self.primary.port,)
        await asyncio.to_thread(self.primary.admin.config_set, "repl-diskless-sync-delay", 0)
        await asyncio.to_thread(self.replica.admin.replicaof, "127.0.0.1", str(self.replication.port))

    async def in_step(self) -> None:
        """Wait until the replica has all that the primary has."""
        await wait_until(self._follows, what="the replica follows the primary")

    def swap(self) -> None:
        """Let the two servers change their parts; networks still lead to the former primary."""
        self.primary, self.replica = self.replica, self.primary

    def reroute(self) -> None:
        """Let all networks lead to the primary, as a name service would; connections stay."""
        for network in self.networks:
            network.targets = (self.primary.port,)

    async def _follows(self) -> bool:
        info = await asyncio.to_thread(self.replica.admin.info, "replication")
        return bool(info["role"] == "slave" and info["master_link_status"] == "up")
