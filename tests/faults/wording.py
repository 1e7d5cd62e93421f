"""Operations in plain words."""

from __future__ import annotations

from tests.faults.operations import (
    Acknowledged,
    AnyOperation,
    Ended,
    Fault,
    Finished,
    Leftover,
    Present,
    Published,
    Readiness,
    Received,
    Refused,
    Setup,
    Subscribed,
    ToldMissed,
)


def in_words(operation: AnyOperation) -> str:
    """Say what happened."""
    match operation:
        case Published():
            key = ", with an idempotency key" if operation.keyed else ""
            return f"{operation.publisher} publishes {operation.message} in {operation.channel}{key}"
        case Acknowledged():
            return f"{operation.message} is acknowledged{_at(operation.position)}"
        case Refused():
            return f"{operation.message} is refused: it is not published"
        case Subscribed():
            return _subscribed(operation)
        case Received():
            return f"session {operation.session} gets {operation.message:.80}{_at(operation.position)}"
        case ToldMissed():
            onward = f", and goes on after {operation.position}" if operation.position else ""
            return f"session {operation.session} is told that it may have missed messages{onward}"
        case Ended():
            code = "" if operation.code is None else f" with {operation.code}"
            return f"session {operation.session} ends{code}"
        case Fault():
            return f"{operation.kind} ({operation.detail}), for {operation.ended - operation.at:.3f} s"
        case _:
            return _of_a_gateway(operation)


def _subscribed(operation: Subscribed) -> str:
    words = f"session {operation.session} of {operation.subscriber} ({operation.kind}) hears {operation.channel}"
    if operation.gateway is not None:
        words += f" at gateway {operation.gateway}"
    if operation.since is not None:
        outcome = "lacks nothing" if operation.recovered else "may lack messages"
        words += f"; it {outcome} since {operation.since}"
    if operation.position is not None:
        words += f"; it begins after {operation.position}"
    return words


def _of_a_gateway(operation: Setup | Present | Readiness | Leftover | Finished) -> str:
    match operation:
        case Setup():
            return f"a run of seed {operation.seed} begins"
        case Present():
            named, there = len(operation.users), len(operation.expected)
            return f"{named} users are named in {operation.channel}, and {there} are there"
        case Readiness():
            passing = {True: ", and messages pass", False: ", and no message passes", None: ""}[operation.passing]
            return f"gateway {operation.gateway} is {'' if operation.ready else 'not '}ready{passing}"
        case Leftover():
            return f"gateway {operation.gateway} had {operation.before:g} {operation.what}, and has {operation.after:g}"
        case Finished():
            return "all has had its time"


def _at(position: str | None) -> str:
    return "" if position is None else f" at {position}"
