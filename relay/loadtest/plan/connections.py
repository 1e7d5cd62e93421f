"""Who is who in a run: which client and which publisher is in which channel, on which server, in which worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relay.loadtest.plan.plan import Act, Hears, Plan


class Role(NamedTuple):
    """One connection of a run.

    Args:
        number: of the connection: the clients first, then the publishers.
        url: number of its server's URL.
        channel: number of its channel.
        publisher: number of the publisher that speaks through it; None: a client that only listens.
        hears: numbers of the publishers whose messages it is to get.
    """

    number: int
    url: int
    channel: int
    publisher: int | None
    hears: list[int]


def channel_of_publisher(plan: Plan, publisher: int) -> int:
    """Return the number of a publisher's channel."""
    return publisher % plan.channels


def cast(plan: Plan, worker: int) -> Iterator[Role]:
    """Yield the roles of one worker."""
    speakers: list[list[int]] = [[] for _ in range(plan.channels)]
    for publisher in range(plan.publishers):
        speakers[channel_of_publisher(plan, publisher)].append(publisher)
    for client in range(worker, plan.clients, plan.workers):
        channel = client % plan.channels
        yield Role(client, _server(plan, client), channel, None, speakers[channel])
    for publisher in range(worker, plan.publishers, plan.workers):
        channel = channel_of_publisher(plan, publisher)
        match plan.hears:
            case Hears.ALL:
                hears = speakers[channel]
            case Hears.OTHERS:
                hears = [other for other in speakers[channel] if other != publisher]
            case Hears.NOTHING:
                hears = []
        # One server further than the channel's first client: messages have to cross from server to server.
        yield Role(plan.clients + publisher, _server(plan, publisher + 1), channel, publisher, hears)


def _server(plan: Plan, number: int) -> int:
    """Return the server of a connection: those of one channel are spread over all servers."""
    return (number // plan.channels + number % plan.channels) % len(plan.urls)


def stops_reading(plan: Plan, client: int) -> bool:
    """Return whether a client is one of those that stop reading in the measured time: they are spread over all."""
    return plan.act is Act.SLOW and client % max(1, round(1 / plan.slow)) == 0


def deliveries_per_message(plan: Plan, publisher: int) -> int:
    """Return to how many connections a publisher's message goes, when all are there that shall be."""
    channel = channel_of_publisher(plan, publisher)
    clients = sum(not stops_reading(plan, client) for client in range(channel, plan.clients, plan.channels))
    speakers = len(range(channel, plan.publishers, plan.channels))
    heard_by = {Hears.ALL: speakers, Hears.OTHERS: speakers - 1, Hears.NOTHING: 0}
    return clients + heard_by[plan.hears]
