"""Broadcast servers that do one thing wrong, and count how often they did it to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.harness.broadcast_server import BroadcastServer, Message
from tests.harness.server_session import ServerSession

HELD_SECONDS = 0.5


class FaultyServer(BroadcastServer):
    """A server whose turn to do something wrong comes every so often; honest in itself.

    Args:
        every: its turn comes each so many times.
        options: see `BroadcastServer`.

    Attributes:
        faults: what it did wrong: to whom, and with which number of its sender's messages.
    """

    def __init__(self, every: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.faults: list[tuple[ServerSession, int]] = []
        self._every = every
        self._chances = 0

    def turn(self) -> bool:
        """Return whether it's time to do something wrong."""
        self._chances += 1
        return self._chances % self._every == 0


class DroppedMessages(FaultyServer):
    """Passes some messages to nobody."""

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        if self.turn():
            self.faults += [(receiver, message.number) for receiver in receivers]
        else:
            super().pass_on(message, channel, receivers)


class DroppedDeliveries(FaultyServer):
    """Leaves out single receivers of a message."""

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        if self.turn():
            self.faults.append((receiver, message.number))
        else:
            super().deliver(receiver, message)


class DoubledDeliveries(FaultyServer):
    """Sends some messages twice.

    Args:
        every: see `FaultyServer`.
        later: seconds until the second time; None: at once.
        options: see `BroadcastServer`.
    """

    def __init__(self, every: int, later: float | None = None, **options: Any) -> None:
        super().__init__(every, **options)
        self._later = later

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        super().deliver(receiver, message)
        if self.turn():
            self.faults.append((receiver, message.number))
            if self._later is None:
                receiver.send(message.payload)
            else:
                asyncio.get_running_loop().call_later(self._later, receiver.send, message.payload)


class SwappedDeliveries(FaultyServer):
    """Sends some messages after the next one of the same sender; when none comes for a while, it does nothing wrong."""

    def __init__(self, every: int, **options: Any) -> None:
        super().__init__(every, **options)
        self._held: dict[tuple[ServerSession, ServerSession], Message] = {}

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        key = receiver, message.sender
        if key in self._held:
            self.faults.append((receiver, self._held[key].number))
            super().deliver(receiver, message)
            self._release(key, self._held[key])
        elif self.turn():
            self._held[key] = message
            asyncio.get_running_loop().call_later(HELD_SECONDS, self._release, key, message)
        else:
            super().deliver(receiver, message)

    def _release(self, key: tuple[ServerSession, ServerSession], message: Message) -> None:
        if self._held.get(key) is message:
            super().deliver(key[0], self._held.pop(key))


class ChangedDeliveries(FaultyServer):
    """Changes some messages on the way.

    Args:
        every: see `FaultyServer`.
        change: returns the changed payload; its second argument counts the changes, from 0.
        options: see `BroadcastServer`.
    """

    def __init__(self, every: int, change: Callable[[bytes, int], bytes], **options: Any) -> None:
        super().__init__(every, **options)
        self._change = change

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        if self.turn():
            receiver.send(self._change(message.payload, len(self.faults)), message.opcode)
            self.faults.append((receiver, message.number))
        else:
            super().deliver(receiver, message)


def flip_bit(payload: bytes, count: int) -> bytes:
    """Return the payload with the lowest bit of one byte flipped; it's another byte for each count."""
    changed = bytearray(payload)
    changed[count % len(payload)] ^= 1
    return bytes(changed)


def cut_short(payload: bytes, count: int) -> bytes:
    """Return the payload without its end."""
    return payload[: -1 - count % (len(payload) - 1)]


def make_longer(payload: bytes, count: int) -> bytes:
    """Return the payload with more of its last byte."""
    return payload + payload[-1:] * (count + 1)


class LeakyServer(FaultyServer):
    """Passes some messages to the clients of all other channels, too."""

    def pass_on(self, message: Message, channel: str, receivers: Iterable[ServerSession]) -> None:
        super().pass_on(message, channel, receivers)
        if not self.turn():
            return
        for name, members in self.members.items():
            if name != channel:
                for member in members:
                    member.send(message.payload)
                    self.faults.append((member, message.number))


class InsertingServer(FaultyServer):
    """Sends some bytes that nobody published after some of its deliveries.

    Args:
        every: see `FaultyServer`.
        frames: bytes to send, one after the other; frames or whatever.
        options: see `BroadcastServer`.
    """

    def __init__(self, every: int, *frames: bytes, **options: Any) -> None:
        super().__init__(every, **options)
        self._frames = frames

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        super().deliver(receiver, message)
        if self.turn() and receiver.open:
            receiver.write(self._frames[len(self.faults) % len(self._frames)])
            self.faults.append((receiver, message.number))


class HangingUpServer(FaultyServer):
    """Ends connections of some clients while messages flow, each once.

    Args:
        after: how many deliveries they get before.
        hang_ups: number of a client, from its address → what ends its session, such as `ServerSession.reset`.
        options: see `BroadcastServer`.
    """

    def __init__(self, after: int, hang_ups: Mapping[str, Callable[[ServerSession], None]], **options: Any) -> None:
        super().__init__(**options)
        self._after = after
        self._hang_ups = dict(hang_ups)

    def deliver(self, receiver: ServerSession, message: Message) -> None:
        super().deliver(receiver, message)
        if self.deliveries[receiver] == self._after and receiver.request.client in self._hang_ups:
            self.faults.append((receiver, message.number))
            self._hang_ups.pop(receiver.request.client)(receiver)


class RefusingServer(FaultyServer):
    """Gives some clients an answer of its own to their wish for a WebSocket, and closes.

    Args:
        answers: number of a client, from its address → the answer; None: it gets none, and the connection stays.
        options: see `BroadcastServer`.
    """

    def __init__(self, answers: Mapping[str, bytes | None], **options: Any) -> None:
        super().__init__(**options)
        self._answers = answers

    def answer(self, session: ServerSession) -> bytes | None:
        if session.request.client not in self._answers:
            return super().answer(session)
        self.faults.append((session, 0))
        return self._answers[session.request.client]
