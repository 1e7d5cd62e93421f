"""The end-to-end probe: whether messages get through the bus, asked of the bus itself. Pure: times are given.

A probe is a message that the gateway publishes to a channel of its own. Its states, and what ends each:

    state     meaning                                                 send  executed  refused  heard  give up
    IDLE      there is none: not yet, or the last one was given up    SENT  -         -        -      IDLE
    SENT      it is on its way, and Redis has not answered            -     EXECUTED  REFUSED  HEARD  IDLE
    EXECUTED  Redis has published it, and it has not come in          -     -         -        HEARD  IDLE
    HEARD     it has come in: messages get through                    SENT  -         -        -      IDLE
    REFUSED   Redis has answered with an error                        SENT  -         -        -      IDLE

A dash: the event is of an earlier probe, or says nothing new. The reply may come behind the message: they take
different links.
"""

from __future__ import annotations

import enum

import hiredis

Links = tuple[object, object]
"""The link on which a probe goes out, and the one on which it should come in."""


class State(enum.Enum):
    """How far a probe has come; see the table of this module."""

    IDLE = enum.auto()
    SENT = enum.auto()
    EXECUTED = enum.auto()
    HEARD = enum.auto()
    REFUSED = enum.auto()


class Event(enum.Enum):
    """What happens to a probe; see the table of this module."""

    SEND = enum.auto()
    EXECUTED = enum.auto()
    REFUSED = enum.auto()
    HEARD = enum.auto()
    GIVE_UP = enum.auto()


TRANSITIONS = {
    (State.IDLE, Event.SEND): State.SENT,
    (State.HEARD, Event.SEND): State.SENT,
    (State.REFUSED, Event.SEND): State.SENT,
    (State.SENT, Event.EXECUTED): State.EXECUTED,
    (State.SENT, Event.REFUSED): State.REFUSED,
    (State.SENT, Event.HEARD): State.HEARD,
    (State.EXECUTED, Event.HEARD): State.HEARD,
    **{(state, Event.GIVE_UP): State.IDLE for state in State},
}
"""(state, event) → next state; other events change nothing."""


class Probe:
    """A message of a gateway to itself, again and again, each when the last one is settled.

    Attributes:
        state: of the last probe.
        problem: why messages don't get through, as a sentence; None when the last probe was heard.
        refused: whether the last reply to a probe was an error: that is no sign that anything else doesn't get through.
        heard_until: when the last probe was sent that was heard, in seconds.
    """

    def __init__(self) -> None:
        self.state = State.IDLE
        self.problem: str | None = "bus not probed yet"
        self.refused = False
        self.heard_until = 0.0
        self._number = 0
        self._links: Links = (None, None)
        self._sent_at = 0.0
        self._executed_at = 0.0

    @property
    def sent_at(self) -> float | None:
        """When the probe was sent that is on its way, in seconds; None: there is none."""
        return self._sent_at if self.state in (State.SENT, State.EXECUTED) else None

    def send(self, now: float, links: Links) -> int:
        """Begin a probe; return its number, which is its payload."""
        self._happen(Event.SEND)
        self._number += 1
        self._links = links
        self._sent_at = now
        return self._number

    def give_up(self, problem: str | None = None) -> None:
        """Give up the probe that is on its way: whatever becomes of it says nothing.

        Args:
            problem: what keeps probes from being sent; None: the next one will tell.
        """
        self._happen(Event.GIVE_UP)
        self.problem = problem or self.problem

    def is_stale(self, links: Links) -> bool:
        """Return whether the probe on its way has taken an old link: it says nothing about the new one."""
        return self.sent_at is not None and links != self._links

    def answered(self, number: int, reply: object, now: float) -> str | None:
        """Take Redis' reply to a probe; return its text when it is an error."""
        if number != self._number:
            return None
        if isinstance(reply, hiredis.ReplyError):
            if not self._happen(Event.REFUSED):
                return None
            self.refused = True
            self.problem = f"probe refused: {reply}"
            return str(reply)
        self.refused = False
        if self._happen(Event.EXECUTED):
            self._executed_at = now
        return None

    def heard(self, payload: bytes) -> float | None:
        """Take a probe that has come in; return when it was sent, and None for one that isn't on its way."""
        if payload != b"%d" % self._number or not self._happen(Event.HEARD):
            return None
        self.problem = None
        self.heard_until = self._sent_at
        return self._sent_at

    def watch(self, now: float, timeout: float) -> None:
        """Note as a problem that the probe on its way is not heard for `timeout` seconds; it stays on its way."""
        if self.sent_at is not None and now - self.sent_at >= timeout:
            self.problem = f"probe not heard for {timeout:g} s"

    def is_lost(self, answered_until: float) -> bool:
        """Return whether the probe on its way can't come in any more.

        Not a matter of time: under load it queues behind data that is still delivered, and breaking the link would
        lose that. But Redis answers in order. Once it has executed the probe, a command that is sent afterwards on
        the link where the probe should come in is answered behind it.

        Args:
            answered_until: when the last heartbeat was sent that was answered on that link, in seconds.
        """
        return self.state is State.EXECUTED and answered_until > self._executed_at

    def _happen(self, event: Event) -> bool:
        """Go to the next state; return whether there is one."""
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True
