"""Counts equal those of accounts that are kept message by message, in as simple a way as can be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.result.faults import Fault, Incident
from tests.loadtest.generator.test_delivery_checker import URL, counts, finish, receive, record


@dataclass
class Account:
    """What happened between one publisher and one client, kept as simply as can be: message by message.

    Args:
        record: when each message was sent.
    """

    record: Sequence[int]
    known: set[int] = field(default_factory=set)
    backlog: set[int] = field(default_factory=set)
    next: int = 0
    begin: int = 0
    duplicated: list[int] = field(default_factory=list)
    reordered: list[int] = field(default_factory=list)

    def join(self, moment: int) -> None:
        """A session begins: what was sent before isn't expected."""
        self.begin = max(self.next, bisect_left(self.record, moment))

    def receive(self, sequence: int) -> None:
        """A message came."""
        if sequence in self.known:
            self.duplicated.append(sequence)
        elif sequence < self.next:
            self.reordered.append(sequence)
        else:
            # A client that receives this one is subscribed: from here on every message is expected.
            self.begin = min(self.begin, sequence)
        self.known.add(sequence)
        self.next = max(self.next, sequence + 1)

    def leave(self) -> None:
        """A session ends: what was sent after the last message that came may have been under way."""
        self.backlog.update(range(self.begin, self.next))

    def end(self) -> None:
        """The run is over, and the client still there: it was to get everything."""
        self.backlog.update(range(self.begin, len(self.record)))

    @property
    def lost(self) -> set[int]:
        """Expected, and never came."""
        return self.backlog - self.known

    @property
    def missed(self) -> set[int]:
        """Not expected, and never came."""
        return set(range(len(self.record))) - self.backlog - self.known


@dataclass(frozen=True)
class Session:
    """One stay of a client: when it joined, what it heard of which publisher, and where chunks end."""

    joined: int
    messages: list[tuple[int, int]]
    chunk: int


def runs_of(messages: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return the runs of one chunk, as the reader makes them: publisher, first, last."""
    found: list[tuple[int, int, int]] = []
    open_runs: dict[int, tuple[int, int]] = {}
    for publisher, sequence in messages:
        begun = open_runs.get(publisher)
        if begun is not None and begun[1] + 1 == sequence:
            open_runs[publisher] = begun[0], sequence
            continue
        if begun is not None:
            found.append((publisher, *begun))
        open_runs[publisher] = sequence, sequence
    return found + [(publisher, *run) for publisher, run in open_runs.items()]


@st.composite
def spoilt(draw: st.DrawFn, total: int) -> list[int]:
    """Draw what came of a sequence: with drops, duplicates, swaps, repetitions from long ago."""
    sequence = list(range(total))
    for _ in range(draw(st.integers(0, 4))):
        if not sequence:
            break
        place = draw(st.integers(0, len(sequence) - 1))
        match draw(st.sampled_from(["drop", "drop some", "double", "swap", "late", "again"])):
            case "drop":
                del sequence[place]
            case "drop some":
                del sequence[place : place + draw(st.integers(1, 5))]
            case "double":
                sequence.insert(place, sequence[place])
            case "swap":
                sequence[place : place + 2] = reversed(sequence[place : place + 2])
            case "late":
                sequence.insert(draw(st.integers(0, len(sequence))), sequence.pop(place))
            case "again":
                sequence.insert(draw(st.integers(0, len(sequence))), draw(st.integers(0, total - 1)))
    return sequence


@st.composite
def courses(draw: st.DrawFn) -> tuple[list[int], list[Session], bool]:
    """Draw how many messages each publisher sends, a client's sessions, and whether the last one goes on to the end."""
    totals = draw(st.lists(st.integers(0, 12), min_size=1, max_size=3))
    heard = [draw(spoilt(total)) for total in totals]
    stays = draw(st.integers(1, 4))
    cuts = [sorted(draw(st.integers(0, len(each))) for _ in range(2 * stays)) for each in heard]
    joins = sorted(draw(st.integers(0, 125)) for _ in range(stays))
    if draw(st.booleans()):
        joins[0] = 0
    sessions = []
    for number, joined in enumerate(joins):
        mixed = [
            (publisher, sequence)
            for publisher, (each, reset) in enumerate(zip(heard, cuts, strict=True))
            for sequence in each[reset[2 * number] : reset[2 * number + 1]]
        ]
        sessions.append(Session(joined, mixed, draw(st.integers(1, 6))))
    return totals, sessions, draw(st.booleans())


def endpoints(incidents: Iterable[Incident], fault: Fault) -> set[tuple[int | None, int | None]]:
    """Return publisher and sequence number of where the incidents of a kind begin and end."""
    chosen = [incident for incident in incidents if incident.fault is fault]
    return {(incident.publisher, place) for incident in chosen for place in (incident.first, incident.last)}


@given(courses())
def test_counts_equal_those_of_message_by_message_accounts(course: tuple[list[int], list[Session], bool]) -> None:
    """Whatever a server drops, doubles, swaps and repeats, whenever a client comes and goes."""
    totals, sessions, stays = course
    accounts = [Account(record(total)) for total in totals]
    checker, who = DeliveryChecker(), Receiver(7, URL, "room", list(range(len(totals))))
    if sessions[0].joined:
        who.leave()  # it comes late
    for number, session in enumerate(sessions):
        who.join(session.joined)
        for account in accounts:
            account.join(session.joined)
        for begin in range(0, len(session.messages), session.chunk):
            chunk = session.messages[begin : begin + session.chunk]
            for publisher, sequence in chunk:
                accounts[publisher].receive(sequence)
            for publisher, first, last in runs_of(chunk):
                receive(checker, who, publisher, (first, last), moment=session.joined)
        if number + 1 < len(sessions) or not stays:
            who.leave()
            for account in accounts:
                account.leave()
        else:
            for account in accounts:
                account.end()
    faults = finish(checker, who, *totals)
    expected = {
        "lost": sum(len(account.lost) for account in accounts),
        "duplicated": sum(len(account.duplicated) for account in accounts),
        "reordered": sum(len(account.reordered) for account in accounts),
        "missed": sum(len(account.missed) for account in accounts),
    }
    assert counts(faults) == {name: count for name, count in expected.items() if count}
    lost = {(publisher, sequence) for publisher, account in enumerate(accounts) for sequence in account.lost}
    late = {(publisher, sequence) for publisher, account in enumerate(accounts) for sequence in account.reordered}
    assert endpoints(faults.incidents, Fault.LOST) <= lost
    assert endpoints(faults.incidents, Fault.REORDERED) <= late
    assert bool(lost) == any(incident.fault is Fault.LOST for incident in faults.incidents)
