"""The replies of Redis to calls of scripts, each of which settles several messages."""

from __future__ import annotations

from typing import Any, Final

import hiredis

from relay.brokers import Published
from relay.brokers.redis.publish_failures import PublishFailures
from relay.brokers.redis.publish_queue import PendingScript, PublishQueue
from relay.brokers.redis.script_calls import ScriptCall
from relay.brokers.redis.scripting import Scripting
from relay.metrics.counters import Counters
from relay.position import Position

FORGOTTEN: Final = "Redis had forgotten the script, and knew it again before a later message of the same publisher"
"""Why a message fails that was to be written again, and was overtaken."""

REFUSED_WITH_OTHERS: Final = (
    "Redis refused it in one call with messages to other channels, and took a later message of the same publisher"
)
"""The same, where it was to be written again without them."""

REFUSED_TOGETHER: Final = ("CROSSSLOT", "NOPERM")
"""What errors begin with that may concern one of several channels; nothing was executed."""


class CallReplies:
    """Tells receipts what became of the messages of calls, and counts; see `PublishReplies`."""

    def __init__(
        self, queue: PublishQueue, failures: PublishFailures, scripting: Scripting, counters: Counters
    ) -> None:
        self._queue = queue
        self._failures = failures
        self._scripting = scripting
        self._counters = counters

    def take(self, first: PendingScript, reply: Any, now: float) -> int | None:
        """Settle the messages of the oldest call.

        Args:
            first: its first message, which was taken out of `pending` and doesn't count for its share any more.
            reply: what has come.
            now: `time.monotonic()`, in seconds.

        Returns:
            How many bytes of the messages behind the first one are settled; negative: that one is held. None: the reply
            means nothing, and nothing was done.
        """
        queue = self._queue
        calls = queue.calls[0]
        if isinstance(reply, hiredis.ReplyError):
            held = self._why_held(str(reply), calls)
        elif type(reply) is list and len(reply) > 2 and len(reply[2]) == len(calls):
            held = None
        else:
            return None
        del queue.calls[0]
        entries = [first]
        size = 0
        for _ in range(len(calls) - 1):
            entry = queue.pending.popleft()
            assert type(entry) is PendingScript, "the messages of a call are in one piece"
            entries.append(entry)
            size += entry.size
            if entry.receipt is not None and entry.source is not None:
                queue.charge(entry.source.share, -entry.size)
        if held is not None:
            for entry, call in zip(entries, calls, strict=True):
                queue.hold(entry, call, held)
            return -first.size
        if isinstance(reply, hiredis.ReplyError):
            self._failures.refused(entries, str(reply))
        else:
            self._settle(entries, calls, reply, now)
        return size

    def _why_held(self, error: str, calls: list[ScriptCall]) -> str | None:
        """Return why messages fail that are overtaken until they are written again; None: they are refused now.

        They are written again where nothing was executed, and another try may go better.
        """
        if error.startswith("NOSCRIPT"):
            return None if self._scripting.hopeless else FORGOTTEN
        if error.startswith(REFUSED_TOGETHER) and any(call[0].keys != calls[0][0].keys for call in calls):
            self._scripting.refuse_merging(error)
            return REFUSED_WITH_OTHERS
        return None

    def _settle(self, entries: list[PendingScript], calls: list[ScriptCall], reply: list[Any], now: float) -> None:
        """Tell what a script has answered; see `relay.brokers.redis.scripts`."""
        repeated, primary, results, *places = reply
        queue, counters = self._queue, self._counters
        self._scripting.found = True
        self._scripting.primary_is(primary)
        published = 0
        told = any([entry.receipt is not None for entry in entries])
        positions = _positions(calls, results, places) if told else []
        for number, result in enumerate(results):
            entry = entries[number]
            if type(result) is not int:
                self._failures.refused((entry,), str(result))
                continue
            published += 1
            if queue.holding and entry.source is not None:
                for held in queue.take_overtaken(entry.source):
                    self._failures.refused((held.entry,), held.why)
            if entry.receipt is not None:
                entry.receipt(Published(result, positions[number], bool(repeated)))
        counters.publish_latency.observe(now - entries[0].accepted_at, published)
        counters.messages_repeated += repeated
        counters.messages_published += published - repeated


def _positions(calls: list[ScriptCall], results: list[Any], places: list[Any]) -> list[Position | None]:
    """Return the positions of the messages of a call, at those that were published.

    Args:
        calls: the messages.
        results: an integer for each that was published.
        places: epoch and first offset of each channel, in the order in which the channels first appear; an offset of 0:
            its messages have no positions.
    """
    following: dict[bytes, Position] = {}
    positions: list[Position | None] = []
    for (channel, _, _), result in zip(calls, results, strict=True):
        position = following.get(channel.keys)
        if position is None:
            number = 2 * len(following)
            position = Position(places[number].decode(), places[number + 1])
        positions.append(position if position.offset else None)
        published = position.offset and type(result) is int
        following[channel.keys] = Position(position.epoch, position.offset + 1) if published else position
    return positions
