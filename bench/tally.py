"""What happened to the messages: lost, duplicated, reordered, or not ours at all."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, fields

from .streams import Channel, Stream
from .wire import CLOSE, TEXT, WEBSOCKET, Format, parse_message

PUBLISHER_SHIFT = 32  # a message's key is publisher << 32 | sequence number


@dataclass
class Tally:
    """Counts of deliveries and of everything that must not happen."""

    deliveries: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    foreign: int = 0  # frames that nobody sent, or that were changed on the way
    closed: int = 0  # connections that the server closed

    def __iadd__(self, other: Tally) -> Tally:
        """Add the counts of another tally."""
        for field in fields(self):
            total = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, total)
        return self

    @property
    def clean(self) -> bool:
        """Whether everything arrived, once, in order, and unchanged."""
        return not (self.lost or self.duplicated or self.reordered or self.foreign or self.closed)

    def __str__(self) -> str:
        """Return lost/duplicated/reordered, and the rarer things where they happened."""
        text = f"{self.lost}/{self.duplicated}/{self.reordered}"
        text += f" {self.foreign} foreign" if self.foreign else ""
        return text + (f" {self.closed} closed" if self.closed else "")


@dataclass
class Parsed:
    """The messages of one stream: keys, due times in ns, and end offsets in bytes."""

    keys: array[int]
    due: array[int]
    ends: array[int]
    foreign: int = 0
    closed: bool = False  # ended by a close frame


def parse(data: bytes | bytearray, format: Format = WEBSOCKET) -> Parsed:
    """Read the messages of a stream."""
    parsed = Parsed(array("Q"), array("q"), array("q"))
    for opcode, payload, end in format.split(data):
        if opcode == CLOSE:
            parsed.closed = True
            break
        content = parse_message(payload) if opcode == TEXT else None
        if content is None:
            parsed.foreign += 1
            continue
        publisher, sequence, due = content
        parsed.keys.append(publisher << PUBLISHER_SHIFT | sequence)
        parsed.due.append(due)
        parsed.ends.append(end)
    return parsed


def check(parsed: Parsed, sent: dict[int, int]) -> Tally:
    """Check one stream against sent: publisher number to count of its messages."""
    tally = Tally(deliveries=len(parsed.keys), foreign=parsed.foreign, closed=parsed.closed)
    following = dict.fromkeys(sent, 0)
    missing: set[int] = set()
    for key in parsed.keys:
        publisher, sequence = key >> PUBLISHER_SHIFT, key & 0xFFFFFFFF
        if publisher not in sent or sequence >= sent[publisher]:
            tally.foreign += 1
        elif sequence == following[publisher]:
            following[publisher] += 1
        elif sequence > following[publisher]:
            base = publisher << PUBLISHER_SHIFT
            missing.update(range(base + following[publisher], base + sequence))
            following[publisher] = sequence + 1
        elif key in missing:
            missing.remove(key)
            tally.reordered += 1
        else:
            tally.duplicated += 1
    tally.lost = len(missing) + sum(sent[p] - following[p] for p in sent)
    return tally


def tally_channel(channel: Channel) -> tuple[Tally, Parsed]:
    """Check every stream of a channel; return the sum and the reference's messages."""
    total = Tally()
    sent = {p.number: p.sent_messages for p in channel.publishers}
    reference = parse(channel.reference, channel.format)
    common = check(reference, sent)
    for subscriber in channel.subscribers:
        whole = subscriber.position == len(channel.reference)
        if whole and not subscriber.differs and not subscriber.closed:
            total += common
        else:
            total += tally_alone(subscriber, sent, reference.keys)
    for publisher in channel.publishers:
        others = {number: count for number, count in sent.items() if number != publisher.number}
        base = publisher.number << PUBLISHER_SHIFT
        own = range(base, base + (1 << PUBLISHER_SHIFT))
        order = array("Q", [key for key in reference.keys if key not in own])
        total += tally_alone(publisher, others, order)
    return total, reference


def tally_alone(stream: Stream, sent: dict[int, int], order: array[int]) -> Tally:
    """Check one stream by itself; order is the sequence that its channel saw."""
    parsed = parse(stream.data(), stream.format)
    parsed.closed |= stream.closed
    tally = check(parsed, sent)
    if parsed.keys != order and not tally.reordered:
        # What both have, once each: a loss or a duplicate is not a second fault here.
        common = set(parsed.keys) & set(order)
        mine = [key for key in dict.fromkeys(parsed.keys) if key in common]
        if mine != [key for key in dict.fromkeys(order) if key in common]:
            tally.reordered += 1  # each publisher in order, but not the order of the others
    return tally
