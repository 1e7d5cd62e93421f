"""The connections of a run: the channel, the server and the worker of each client and each publisher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relay.loadtest.plan.plan import Act, Hears, Over, Plan


class PlannedConnection(NamedTuple):
    """One connection of a run.

    Args:
        number: number of the connection: the clients come first, then the publishers.
        url: index of its server in the plan's URLs.
        channel: number of its channel.
        publisher: number of the publisher that sends through it; None: a client that only listens.
        hears: numbers of the publishers whose messages it must receive.
    """

    number: int
    url: int
    channel: int
    publisher: int | None
    hears: list[int]


def channel_name(plan: Plan, run: int, channel: int) -> str:
    """Return the name of a channel.

    Args:
        plan: plan of the run.
        run: number of the run.
        channel: number of the channel.
    """
    name = f"loadtest-{run:06x}-{channel}"
    return f"{plan.namespace}:{name}" if plan.namespace else name


def listens_to_events(plan: Plan, client: int) -> bool:
    """Return whether a client that resumes listens to server-sent events; otherwise it polls.

    Both kinds take turns, in the run as on each channel.
    """
    turn = (client // plan.channels + client % plan.channels) % 2
    return plan.over is Over.EVENTS or (plan.over is Over.BOTH and turn == 0)


def channel_of_publisher(plan: Plan, publisher: int) -> int:
    """Return the number of a publisher's channel."""
    return publisher % plan.channels


def planned_connections(plan: Plan, worker: int) -> Iterator[PlannedConnection]:
    """Yield the connections of one worker, given by its number."""
    publishers_of: list[list[int]] = [[] for _ in range(plan.channels)]
    for publisher in range(plan.publishers):
        publishers_of[channel_of_publisher(plan, publisher)].append(publisher)
    for client in range(worker, plan.clients, plan.workers):
        channel = client % plan.channels
        yield PlannedConnection(client, _server(plan, client), channel, None, publishers_of[channel])
    for publisher in range(worker, plan.publishers, plan.workers):
        channel = channel_of_publisher(plan, publisher)
        match plan.hears:
            case Hears.ALL:
                hears = publishers_of[channel]
            case Hears.OTHERS:
                hears = [other for other in publishers_of[channel] if other != publisher]
            case Hears.NOTHING:
                hears = []
        # One server further than the channel's first client: messages have to cross from server to server.
        yield PlannedConnection(plan.clients + publisher, _server(plan, publisher + 1), channel, publisher, hears)


def _server(plan: Plan, number: int) -> int:
    """Return the index of a connection's server: the connections of one channel are spread over all servers."""
    return (number // plan.channels + number % plan.channels) % len(plan.urls)


def stops_reading(plan: Plan, client: int) -> bool:
    """Return whether a client stops reading in the measured time; such clients are spread evenly over all."""
    return plan.act is Act.SLOW and client % max(1, round(1 / plan.slow)) == 0


def deliveries_per_message(plan: Plan, publisher: int) -> int:
    """Return how many connections receive each message of a publisher when every planned connection is there."""
    channel = channel_of_publisher(plan, publisher)
    clients = sum(not stops_reading(plan, client) for client in range(channel, plan.clients, plan.channels))
    publishers = len(range(channel, plan.publishers, plan.channels))
    received_by = {Hears.ALL: publishers, Hears.OTHERS: publishers - 1, Hears.NOTHING: 0}
    return clients + received_by[plan.hears]
