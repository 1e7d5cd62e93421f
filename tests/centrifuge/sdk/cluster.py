"""Two servers on one Redis behind a balancer: of the relay, or Centrifugo, by which the scenario itself is tested."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from tests.centrifuge.oracle.centrifugo import CentrifugoProcess, find_centrifugo
from tests.centrifuge.oracle.setups import SETUPS
from tests.harness.balancer import Balancer
from tests.harness.conditions import PATIENCE_SECONDS, wait_until_blocking
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer

SETUP = SETUPS["tokens"]


class Node(Protocol):
    """One server."""

    port: int

    def kill(self) -> None:
        """End it at once."""

    def drain(self) -> None:
        """End it as an operator does, and wait for it."""

    def close(self) -> None:
        """End it, and remove what it has written."""


class RelayNode(GatewayProcess):
    """A gateway that listens."""

    @classmethod
    def on(cls, redis: RedisServer) -> Self:
        """Start one, and wait until it is ready."""
        gateway = cls(**{**SETUP.relay, "broker_url": redis.url, "drain_seconds": 1})
        gateway.start_blocking()
        return gateway

    def drain(self) -> None:
        self.signal(signal.SIGTERM)
        wait_until_blocking(lambda: not self.running, PATIENCE_SECONDS, "gateway ends")

    def close(self) -> None:
        if self.running:
            end([self])
        else:
            super().close()


class CentrifugoNode(CentrifugoProcess):
    """A node of Centrifugo that listens."""

    @classmethod
    def on(cls, redis: RedisServer) -> Self:
        """Start one, and wait until it listens."""
        program = find_centrifugo()
        assert program is not None, "Centrifugo isn't here: make oracle installs it"
        return cls(program, SETUP, redis.port).__enter__()

    def drain(self) -> None:
        self.terminate()
        wait_until_blocking(lambda: not self.running, PATIENCE_SECONDS, "Centrifugo ends")


class Cluster:
    """Two servers, of which clients get the first one that answers. A context manager.

    Args:
        kind: of servers.

    Attributes:
        redis: their bus; it keeps what it has when it is restarted.
        nodes: those that run, the preferred one first.
    """

    def __init__(self, kind: type[RelayNode] | type[CentrifugoNode]) -> None:
        self._kind = kind
        self._stack = ExitStack()
        self.redis = RedisServer()
        self.redis.append_only = True
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.redis)
            stack.callback(self._end)
            self.nodes = [self._start(), self._start()]
            self._balancer = stack.enter_context(Balancer(*self.ports))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def ports(self) -> list[int]:
        """Ports of the servers that run."""
        return [node.port for node in self.nodes]

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"ws://127.0.0.1:{self._balancer.port}/connection/websocket"

    def kill_first(self) -> None:
        """Kill the preferred server; another one is started, for the time when the second one is away."""
        self.nodes[0].kill()
        fresh = self._start()
        self._balancer.prefer(self.nodes[1].port, fresh.port)
        self.nodes[0].close()
        self.nodes = [self.nodes[1], fresh]

    def drain_first(self) -> None:
        """End the preferred server as an operator does; another one is started before, to be preferred."""
        fresh = self._start()
        self._balancer.prefer(fresh.port, self.nodes[1].port)
        self.nodes[0].drain()
        self.nodes[0].close()
        self.nodes = [fresh, self.nodes[1]]

    def _start(self) -> Node:
        return self._kind.on(self.redis)

    def _end(self) -> None:
        for node in self.nodes:
            node.close()
