"""Finds out before a run whether clients can resume at the servers: whether these keep the messages of its channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

from relay.errors import RelayError
from relay.loadtest.generator.dialer import Dialer
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.http_connection import HttpConnection
from relay.loadtest.generator.poll_answer import decode_answer
from relay.loadtest.plan.connections import channel_name
from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.server_address import ServerAddress


class NoHistoryError(RelayError):
    """A server at which no client can resume.

    Args:
        url: of the server.
        channel: one of the run.
        problem: what it lacks, as a sentence without a full stop.
    """

    def __init__(self, url: str, channel: str, problem: str) -> None:
        super().__init__(url, channel, problem)
        self.url = url
        self.channel = channel
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


async def check_history(plan: Plan, run: int, addresses: list[ServerAddress]) -> None:
    """Ask each server for the last message of a channel of the run, as only a channel with a history allows.

    A server that can't be asked is left to the run, which tells what is wrong with its connections.

    Args:
        plan: plan of the run.
        run: number of the run.
        addresses: addresses of the plan's URLs, in their order.

    Raises:
        NoHistoryError: no client could resume there.
    """
    dialer = Dialer(plan.trust)
    channel = channel_name(plan, run, 0)
    for url, address in zip(plan.urls, addresses, strict=True):
        try:
            async with asyncio.timeout(plan.connect_timeout):
                problem = await _problem(partial(_poll, plan, dialer, url, address), channel)
        except (OSError, RemoteProtocolError):
            continue
        if problem:
            raise NoHistoryError(url, channel, problem)


async def _problem(poll: Callable[[str], Awaitable[tuple[int, bytes]]], channel: str) -> str:
    """Return what a server lacks; empty when clients can resume there, or it can't be said."""
    status, body = await poll(f"/poll/{channel}?wait=0&history=1")
    if status == 403:
        # Listening takes the right r alone, and this h. The cursor of a history is a position, which has a colon.
        status, body = await poll(f"/poll/{channel}?wait=0")
    if status == 404:
        return f"there is no /poll, over which clients resume (HTTP {status})"
    if status == 400 or (status == 200 and ":" not in decode_answer(body).cursor):
        return (
            f"the channel {channel} keeps no messages there, so that no client can resume. Give its gateways "
            "RELAY_HISTORY_SIZE, or name a namespace that has a history_size with --namespace"
        )
    return ""


async def _poll(plan: Plan, dialer: Dialer, url: str, address: ServerAddress, target: str) -> tuple[int, bytes]:
    """Return status and body of the answer."""
    source = plan.source_addresses[0] if plan.source_addresses else None
    prefix = urlsplit(url).path
    connection = await HttpConnection.open(dialer, address, source, prefix, lambda size: None)
    try:
        head = await connection.ask("GET", target, plan.dialect.headers)
        return head.status, await connection.whole()
    finally:
        connection.reset()
