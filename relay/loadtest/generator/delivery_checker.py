"""Whether every message came, once, in order.

A receiver expects of each publisher of its channel all messages, in the order of their sequence numbers. What it
skips is missing; what comes later than it should is reordered, and no longer missing; what comes again is
duplicated. A receiver that was away is judged by the publisher's own record of when it sent what.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from relay.loadtest.result.faults import Fault, Faults, Incident

MAX_INCIDENTS: Final = 10
MAX_MISSING: Final = 1_000_000
"""Missing messages that are remembered one by one. Past it one that comes late after all counts as a duplicate."""

MAX_SKIPS: Final = 1000
"""Skips that are remembered with their moment, to be shown if what was skipped doesn't come late."""

UNKNOWN: Final = -1
"""Next sequence number of a receiver that has come back and not heard this publisher since."""


class Receiver:
    """What one connection has heard.

    Args:
        number: of the client.
        url: of its server.
        channel: name of its channel.
        publishers: numbers of those whose messages it is to get.

    Attributes:
        expected: publisher → sequence number of the next message; UNKNOWN at first after an absence.
        joined: ns since the run's start when the present session began.
        away: whether there is no session now.
        excused: whether it stopped hearing on purpose, so that nothing is expected any more.
    """

    __slots__ = ("away", "channel", "excused", "expected", "joined", "left_at", "number", "url")

    def __init__(self, number: int, url: str, channel: str, publishers: list[int]) -> None:
        self.number = number
        self.url = url
        self.channel = channel
        self.expected = dict.fromkeys(publishers, 0)
        self.left_at: dict[int, int] | None = None
        self.joined = 0
        self.away = True
        self.excused = False

    def join(self, moment: int) -> None:
        """Begin a session; moment in ns since the run's start."""
        self.joined = moment
        self.away = False

    def leave(self) -> None:
        """End the session, or the hope for a first one: what is sent until the next one is missed, not lost."""
        self.away = True
        known = {publisher: expected for publisher, expected in self.expected.items() if expected != UNKNOWN}
        self.left_at = (self.left_at or {}) | known
        self.expected = dict.fromkeys(self.expected, UNKNOWN)


class Checker:
    """Counts what happened to the messages of one worker's receivers.

    Attributes:
        faults: the counts. `lost` and `missed` are complete after `judge`.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self._missing: dict[tuple[int, int], set[int]] = {}
        self._remembered = 0
        self._skips: list[tuple[Receiver, int, int, int, int]] = []
        self._heads: dict[tuple[Receiver, int], list[tuple[int, int, int]]] = {}
        self._late: dict[tuple[Receiver, int], set[int]] = {}

    @property
    def missing(self) -> int:
        """Deliveries that were skipped and have not come so far."""
        return self._remembered + self.faults.lost

    def hear(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        """Take a run of messages that isn't simply the next one.

        Args:
            receiver: who got it.
            publisher: who sent it.
            first: sequence number of the first message.
            last: of the last one; none between is missing.
            moment: ns since the run's start.
        """
        expected = receiver.expected.get(publisher)
        if expected is None:
            self.note(Fault.FOREIGN, receiver, moment, publisher, first, last, "not meant for this client")
            return
        if expected == UNKNOWN:
            self._return(receiver, publisher, first, last, moment)
            return
        if first > expected:
            self._skip(receiver, publisher, expected, first - 1, moment)
        elif first < expected:
            self._repeat(receiver, publisher, first, min(last, expected - 1), moment)
        receiver.expected[publisher] = max(last + 1, expected)

    def note(
        self,
        fault: Fault,
        receiver: Receiver,
        moment: int,
        publisher: int | None = None,
        first: int | None = None,
        last: int | None = None,
        text: str = "",
    ) -> None:
        """Count a fault and keep it as an incident if it is among the first; lost ones are only counted by `judge`."""
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
        """Return whether anything can still come.

        Args:
            receivers: all of this worker.
            sent: publisher → how many messages it has sent.
            last: publisher → when it sent the last one, ns since the run's start.
        """
        for receiver in receivers:
            if receiver.away or receiver.excused:
                continue
            for publisher, expected in receiver.expected.items():
                # Who has come back is owed what was sent since; a publisher that has sent nothing has no last one.
                if expected < sent[publisher] and (expected != UNKNOWN or last.get(publisher, -1) >= receiver.joined):
                    return True
        return bool(self._remembered)

    def judge(
        self,
        receivers: list[Receiver],
        sent: Mapping[int, int],
        records: Mapping[int, array[int]],
        moment: int,
    ) -> Faults:
        """Count what never came, and return all faults.

        Args:
            receivers: all of this worker.
            sent: publisher → how many messages it has sent.
            records: publisher → when it sent each, ns since the run's start; needed if any receiver came back.
            moment: now, ns since the run's start.
        """
        for (receiver, publisher), heads in self._heads.items():
            for left, joined, first in heads:
                self._judge_absence(receiver, publisher, left, joined, first, records[publisher])
        for receiver in receivers:
            if receiver.excused:
                continue
            for publisher, expected in receiver.expected.items():
                total = sent[publisher]
                if receiver.away:
                    left = expected if expected != UNKNOWN else self._left(receiver, publisher)
                    self.faults.missed += max(0, total - left)
                elif expected == UNKNOWN:
                    left = self._left(receiver, publisher)
                    self._judge_absence(receiver, publisher, left, receiver.joined, total, records[publisher])
                elif expected < total:
                    self.faults.lost += total - expected
                    self.note(Fault.LOST, receiver, moment, publisher, expected, total - 1, "never came")
        self.faults.lost += self._remembered
        for receiver, publisher, first, last, noticed in self._skips:
            missing = self._missing.get((receiver.number, publisher), set())
            never = [sequence for sequence in missing if first <= sequence <= last]
            if never:
                self.note(Fault.LOST, receiver, noticed, publisher, min(never), max(never), "skipped")
        self._missing.clear()
        self._remembered = 0
        return self.faults

    def _return(self, receiver: Receiver, publisher: int, first: int, last: int, moment: int) -> None:
        """Take the first messages of a publisher after an absence."""
        left = self._left(receiver, publisher)
        if first < left:
            self._repeat(receiver, publisher, first, min(last, left - 1), moment)
        if last >= left:
            # The frame that says that it is back may come in the same chunk, behind this message.
            joined = moment if receiver.away else receiver.joined
            self._heads.setdefault((receiver, publisher), []).append((left, joined, max(first, left)))
            receiver.expected[publisher] = last + 1

    @staticmethod
    def _left(receiver: Receiver, publisher: int) -> int:
        return (receiver.left_at or {}).get(publisher, 0)

    def _judge_absence(
        self, receiver: Receiver, publisher: int, left: int, joined: int, first: int, record: array[int]
    ) -> None:
        """Tell what was sent in an absence from what was lost after it.

        Args:
            receiver: who was away.
            publisher: whose messages these are.
            left: sequence number of the first message that it had not heard before.
            joined: when it came back, ns since the run's start.
            first: sequence number of the first message that it heard then.
            record: when the publisher sent each message.
        """
        back, late = max(left, bisect_left(record, joined)), self._late.get((receiver, publisher), set())
        self.faults.missed += len(set(range(left, min(first, back))) - late)
        if lost := set(range(back, first)) - late:
            self.faults.lost += len(lost)
            self.note(Fault.LOST, receiver, joined, publisher, min(lost), max(lost), "after it had come back")

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
                self.note(Fault.REORDERED, receiver, moment, publisher, sequence, sequence)
            elif self._came_late(receiver, publisher, sequence):
                self.note(Fault.REORDERED, receiver, moment, publisher, sequence, sequence)
            else:
                self.note(Fault.DUPLICATED, receiver, moment, publisher, sequence, sequence)

    def _came_late(self, receiver: Receiver, publisher: int, sequence: int) -> bool:
        """Return whether a message is new that comes after the first one that followed an absence."""
        late = self._late.setdefault((receiver, publisher), set())
        new = sequence not in late and any(
            left <= sequence < first for left, _, first in self._heads.get((receiver, publisher), [])
        )
        if new:
            late.add(sequence)
        return new
