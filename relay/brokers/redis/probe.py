"""Whether messages get through the bus, asked of the bus itself; pure: times are given."""

from __future__ import annotations

import hiredis

Links = tuple[object, object]
"""What a probe goes out on, and what it should come in on."""


class Probe:
    """A message to ourselves, again and again, each when the last one is done with.

    Attributes:
        problem: why messages don't get through, in words; None when the last probe was heard.
        refused: whether Redis refuses probes: that is no sign that anything else doesn't get through.
        sent_at: when the probe was sent that is under way, in seconds; None: there is none.
        heard_until: when the last probe was sent that was heard.
    """

    def __init__(self) -> None:
        self.problem: str | None = "bus not probed yet"
        self.refused = False
        self.sent_at: float | None = None
        self.heard_until = 0.0
        self._number = 0
        self._links: Links = (None, None)
        self._executed_at: float | None = None

    def send(self, now: float, links: Links) -> int:
        """Begin a probe; return its number, which is its payload."""
        self._number += 1
        self._links = links
        self._executed_at = None
        self.sent_at = now
        return self._number

    def forget(self, problem: str | None = None) -> None:
        """Give up the probe that is under way: whatever has become of it says nothing.

        Args:
            problem: what keeps probes from being sent; None: the next one will tell.
        """
        self.sent_at = None
        self.problem = problem or self.problem

    def is_stale(self, links: Links) -> bool:
        """Return whether a probe is under way that went with an old link: it says nothing about the new one."""
        return self.sent_at is not None and links != self._links

    def answered(self, number: int, reply: object, now: float) -> str | None:
        """Take Redis' reply to a probe; return its words when they are a refusal."""
        if number != self._number:
            return None
        self.refused = isinstance(reply, hiredis.ReplyError)
        if self.refused:
            self.forget(f"probe refused: {reply}")
            return str(reply)
        self._executed_at = now
        return None

    def heard(self, payload: bytes) -> float | None:
        """Take a probe that has come in; return when it was sent, and None for one that isn't under way."""
        if self.sent_at is None or payload != b"%d" % self._number:
            return None
        self.heard_until, self.sent_at = self.sent_at, None
        self.problem = None
        return self.heard_until

    def is_lost(self, answered_until: float) -> bool:
        """Return whether the probe that is under way can't be heard any more.

        Not a matter of time: under load it queues behind data that is still delivered, and breaking the link would
        lose that. But Redis answers in order. Once it has executed the probe, a question that is asked afterwards on
        the link where the probe should come in is answered behind it.

        Args:
            answered_until: when the last question was asked that was answered on that link, in seconds.
        """
        return self.sent_at is not None and self._executed_at is not None and answered_until > self._executed_at
