"""Connections of redis-py, for what is not on the way of a client's message: publishers of back ends, and the store of
blocked users."""

from __future__ import annotations

from typing import Any

from relay.brokers.redis.address import Address


def make_pool(library: Any, retry: object, address: Address, timeout: float, connections: int) -> Any:
    """Return a new pool.

    Args:
        library: `redis` or `redis.asyncio`, which have types for some of this only.
        retry: the library's object that says how often a command is sent again.
        address: of the Redis, with the log-in.
        timeout: seconds to connect, to wait for an answer, and to wait for a connection.
        connections: how many there may be at once.
    """
    if address.path is not None:
        connection = library.UnixDomainSocketConnection
    else:
        connection = library.Connection if address.tls_options is None else library.SSLConnection
    return library.BlockingConnectionPool(
        connection_class=connection,
        retry=retry,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        protocol=2,
        max_connections=connections,
        timeout=timeout,
        **address.client_options,
    )
