"""What sessions lack is what follows from all that is known, when each two messages are compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.judge.case import Case
from tests.faults.judge.evidence import Channel
from tests.faults.judge.message import NEVER, Message
from tests.faults.judge.misses import Manner, Stretch, stretches
from tests.faults.judge.session import Session
from tests.faults.model.run import ModelRun
from tests.faults.operations import History, Received
from tests.harness.examples import examples

LOST = 5
"""How many deliveries are taken out of a right history."""


class Orders:
    """Which messages of a channel come before which, in a table of all."""

    def __init__(self, channel: Channel) -> None:
        self.messages = [one for one in channel.messages if one.known is not NEVER and not one.twice]
        self._later = {one: {other for other in self.messages if one.known < other.published} for one in self.messages}
        for session in channel.sessions:
            for one, other in pairwise(session.messages):
                self._later[one].add(other)
        placed = sorted((place, one.published, one) for one in self.messages for place, _ in one.places)
        for (place, _, one), (next_place, _, other) in pairwise(placed):
            if place[0] == next_place[0]:
                self._later[one].add(other)
        grown = True
        while grown:
            grown = False
            for found in self._later.values():
                more = set().union(*(self._later[other] for other in found)) - found
                found |= more
                grown = grown or bool(more)

    def is_before(self, one: Message, other: Message) -> bool:
        """Tell whether a message comes before another one."""
        return other in self._later[one]


def lacking(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the sessions that see later messages than some that they lack, with these."""
    for channel in case.evidence.channels.values():
        orders = Orders(channel)
        for session in channel.sessions:
            if session.operation.kind == "websocket":
                continue  # time matters for them
            for stretch in stretches(session, case.evidence):
                came = session.messages[stretch.first : stretch.last]
                for message in set(orders.messages) - set(session.messages):
                    later = [other for other in came if orders.is_before(message, other)]
                    if later and _is_owed(orders, stretch, message, came, later):
                        yield session.name, message.label


def _is_owed(orders: Orders, stretch: Stretch, message: Message, came: list[Message], later: list[Message]) -> bool:
    if message.published > stretch.begun:
        return True
    if stretch.start is not None and message.offset_in(stretch.start[0]) > stretch.start[1]:
        return True
    epochs = {epoch for (epoch, _), _ in message.places}
    shared = not epochs or any(epoch in epochs for other in later for (epoch, _), _ in other.places)
    return shared and any(orders.is_before(other, message) for other in came)


@examples(60)
@given(seed=st.integers(0, 2**32))
def test_what_is_missing_is_what_follows_from_all_that_is_known(seed: int) -> None:
    history: History = ModelRun(seed, 400).history
    receipts = [index for index, operation in enumerate(history) if isinstance(operation, Received)]
    lost = set(Random(seed).sample(receipts, min(LOST, len(receipts))))
    case = Case([operation for index, operation in enumerate(history) if index not in lost])
    found = {
        (miss.session.name, miss.message.label)
        for miss in case.misses.untold
        if miss.manner is not Manner.LAST and _has_words(miss.session)
    }
    assert found == set(lacking(case))


def _has_words(session: Session) -> bool:
    return session.operation.kind != "websocket"
