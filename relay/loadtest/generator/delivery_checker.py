"""Checks that every message is delivered once and in order.

A receiver expects all messages of each publisher of its channel, in the order of their sequence numbers. A message that
is skipped is missing; one that comes after a later message is reordered, and no longer missing; one that comes again is
duplicated. What a receiver missed while it was away follows from the publisher's record of its send times.

A receiver that resumes expects the next message, whether or not it was away. Only what was sent before it was told that
messages are missing may be missing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.loadtest.result.faults import Fault, Faults, Incident

MAX_INCIDENTS: Final = 10
MAX_MISSING: Final = 1_000_000
"""Missing messages that are remembered one by one. Past this limit, one that comes late counts as a duplicate."""

MAX_SKIPS: Final = 1000
"""Skips that are remembered with their time, to be shown as incidents if the skipped messages don't come late."""

UNKNOWN: Final = -1
"""Next sequence number while a receiver has reconnected and not received a message of this publisher since."""


class _Hole(NamedTuple):
    """An absence, or a notice that something was missed, and the first message of a publisher after it.

    Args:
        left: sequence number of the first message that the receiver had not received before.
        joined: when it had reconnected or was told, ns since the run's start.
        first: sequence number of the first message that it received then.
        told: whether it was told, and had not been away.
    """

    left: int
    joined: int
    first: int
    told: bool


class Receiver:
    """What one connection has received.

    Args:
        number: number of the connection.
        url: URL of its server.
        channel: name of its channel.
        publishers: numbers of the publishers whose messages it must receive.

    Attributes:
        expected: publisher → sequence number of the next message; UNKNOWN at first after an absence.
        left_at: publisher → the next message when the last session ended; None before the first absence.
        joined: ns since the run's start when the present session began, or when it was told that something was missing.
        told: whether it was told since it last was away.
        away: whether there is no session now.
        exempt: whether it stopped reading on purpose, so that nothing is expected any more.
    """

    __slots__ = ("away", "channel", "exempt", "expected", "joined", "left_at", "number", "told", "url")

    def __init__(self, number: int, url: str, channel: str, publishers: list[int]) -> None:
        self.number = number
        self.url = url
        self.channel = channel
        self.expected = dict.fromkeys(publishers, 0)
        self.left_at: dict[int, int] | None = None
        self.joined = 0
        self.told = False
        self.away = True
        self.exempt = False

    def join(self, moment: int) -> None:
        """Begin a session; moment in ns since the run's start."""
        self.joined = moment
        self.told = False
        self.away = False

    def leave(self) -> None:
        """End the session, or the attempt at a first one: messages sent until the next session are missed, not lost."""
        self.away = True
        self._forget()

    def tell(self, moment: int) -> None:
        """Take the notice that messages sent before this moment may be missing, in ns since the run's start."""
        self.joined = moment
        self.told = True
        self._forget()

    def _forget(self) -> None:
        known = {publisher: expected for publisher, expected in self.expected.items() if expected != UNKNOWN}
        self.left_at = (self.left_at or {}) | known
        self.expected = dict.fromkeys(self.expected, UNKNOWN)


class DeliveryChecker:
    """Checks the deliveries of one worker's receivers.

    Attributes:
        faults: the counts. `lost` and `missed` are complete after `finish`.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self._missing: dict[tuple[int, int], set[int]] = {}
        self._remembered = 0
        self._skips: list[tuple[Receiver, int, int, int, int]] = []
        self._holes: dict[tuple[Receiver, int], list[_Hole]] = {}
        self._late: dict[tuple[Receiver, int], set[int]] = {}

    @property
    def missing(self) -> int:
        """Deliveries that were skipped and have not come late so far."""
        return self._remembered + self.faults.lost

    def receive(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        """Check a run of consecutive messages; needed for each run that doesn't begin with the expected message.

        Args:
            receiver: receiver of the messages.
            publisher: number of their publisher.
            first: sequence number of the first message.
            last: sequence number of the last message.
            moment: ns since the run's start.
        """
        expected = receiver.expected.get(publisher)
        if expected is None:
            self.record_fault(Fault.FOREIGN, receiver, moment, publisher, first, last, "not meant for this client")
            return
        if expected == UNKNOWN:
            self._return(receiver, publisher, first, last, moment)
            return
        if first > expected:
            self._skip(receiver, publisher, expected, first - 1, moment)
        elif first < expected:
            self._repeat(receiver, publisher, first, min(last, expected - 1), moment)
        receiver.expected[publisher] = max(last + 1, expected)

    def record_fault(
        self,
        fault: Fault,
        receiver: Receiver,
        moment: int,
        publisher: int | None = None,
        first: int | None = None,
        last: int | None = None,
        text: str = "",
    ) -> None:
        """Count a fault, and keep the first ones as incidents; `finish` alone counts lost messages."""
        count = last - first + 1 if first is not None and last is not None else 1
        if fault is not Fault.LOST:
            setattr(self.faults, fault.value, getattr(self.faults, fault.value) + count)
        if sum(incident.fault is fault for incident in self.faults.incidents) < MAX_INCIDENTS:
            self.faults.incidents.append(
                Incident(
                    fault=fault,
                    moment=moment / 1e9,
                    client=receiver.number,
                    url=receiver.url,
                    channel=receiver.channel,
                    publisher=publisher,
                    first=first,
                    last=last,
                    text=text,
                )
            )

    def outstanding(self, receivers: list[Receiver], sent: Mapping[int, int], last: Mapping[int, int]) -> bool:
        """Return whether any delivery can still come.

        Args:
            receivers: all receivers of this worker.
            sent: publisher → number of its messages.
            last: publisher → when it sent its last message, ns since the run's start.
        """
        for receiver in receivers:
            if receiver.away or receiver.exempt:
                continue
            for publisher, expected in receiver.expected.items():
                # After a reconnect, only messages sent since are due; a publisher without messages has no last one.
                if expected < sent[publisher] and (expected != UNKNOWN or last.get(publisher, -1) >= receiver.joined):
                    return True
        return bool(self._remembered)

    def finish(
        self,
        receivers: list[Receiver],
        sent: Mapping[int, int],
        records: Mapping[int, array[int]],
        moment: int,
    ) -> Faults:
        """Count the messages that never came, and return all faults.

        Args:
            receivers: all receivers of this worker.
            sent: publisher → number of its messages.
            records: publisher → when it sent each message, ns since the run's start; needed if a receiver reconnected.
            moment: now, ns since the run's start.
        """
        for (receiver, publisher), holes in self._holes.items():
            for hole in holes:
                self._check_hole(receiver, publisher, hole, records[publisher])
        for receiver in receivers:
            if receiver.exempt:
                continue
            for publisher, expected in receiver.expected.items():
                total = sent[publisher]
                if receiver.away:
                    left = expected if expected != UNKNOWN else self._left(receiver, publisher)
                    self.faults.missed += max(0, total - left)
                elif expected == UNKNOWN:
                    hole = _Hole(self._left(receiver, publisher), receiver.joined, total, receiver.told)
                    self._check_hole(receiver, publisher, hole, records[publisher])
                elif expected < total:
                    self.faults.lost += total - expected
                    self.record_fault(Fault.LOST, receiver, moment, publisher, expected, total - 1, "never came")
        self.faults.lost += self._remembered
        for receiver, publisher, first, last, noticed in self._skips:
            missing = self._missing.get((receiver.number, publisher), set())
            never = [sequence for sequence in missing if first <= sequence <= last]
            if never:
                self.record_fault(Fault.LOST, receiver, noticed, publisher, min(never), max(never), "skipped")
        self._missing.clear()
        self._remembered = 0
        return self.faults

    def _return(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        """Check the first messages of a publisher after an absence."""
        left = self._left(receiver, publisher)
        if first < left:
            self._repeat(receiver, publisher, first, min(last, left - 1), moment)
        if last >= left:
            # The frame that confirms the new subscription may come in the same chunk, behind this message.
            joined = moment if receiver.away else receiver.joined
            hole = _Hole(left, joined, max(first, left), receiver.told)
            self._holes.setdefault((receiver, publisher), []).append(hole)
            receiver.expected[publisher] = last + 1

    @staticmethod
    def _left(receiver: Receiver, publisher: int) -> int:
        return (receiver.left_at or {}).get(publisher, 0)

    def _check_hole(self, receiver: Receiver, publisher: int, hole: _Hole, record: array[int]) -> None:
        """Tell messages that were sent before its end (missed, or told) from those that were lost after it.

        Args:
            receiver: receiver that was away, or was told.
            publisher: number of the messages' publisher.
            hole: of this publisher's messages.
            record: when the publisher sent each message.
        """
        late = self._late.get((receiver, publisher), set())
        back = max(hole.left, bisect_left(record, hole.joined))
        explained = len(set(range(hole.left, min(hole.first, back))) - late)
        if hole.told:
            self.faults.told += explained
        else:
            self.faults.missed += explained
        if lost := set(range(back, hole.first)) - late:
            self.faults.lost += len(lost)
            text = "after it had been told" if hole.told else "after it had come back"
            self.record_fault(Fault.LOST, receiver, hole.joined, publisher, min(lost), max(lost), text)

    def _skip(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        count = last - first + 1
        if len(self._skips) < MAX_SKIPS:
            self._skips.append((receiver, publisher, first, last, moment))
        if self._remembered + count > MAX_MISSING:
            self.faults.lost += count
            return
        self._missing.setdefault((receiver.number, publisher), set()).update(range(first, last + 1))
        self._remembered += count

    def _repeat(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        missing = self._missing.get((receiver.number, publisher), set())
        for sequence in range(first, last + 1):
            if sequence in missing:
                missing.remove(sequence)
                self._remembered -= 1
                self.record_fault(Fault.REORDERED, receiver, moment, publisher, sequence, sequence)
            elif self._came_late(receiver, publisher, sequence):
                self.record_fault(Fault.REORDERED, receiver, moment, publisher, sequence, sequence)
            else:
                self.record_fault(Fault.DUPLICATED, receiver, moment, publisher, sequence, sequence)

    def _came_late(self, receiver: Receiver, publisher: int, sequence: int) -> bool:
        """Return whether a message is new that was sent before the first one received after an absence."""
        late = self._late.setdefault((receiver, publisher), set())
        new = sequence not in late and any(
            hole.left <= sequence < hole.first for hole in self._holes.get((receiver, publisher), [])
        )
        if new:
            late.add(sequence)
        return new
