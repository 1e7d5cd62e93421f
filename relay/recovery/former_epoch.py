"""The epoch of a channel before its present one."""

from __future__ import annotations

from relay.position import Position


class FormerEpoch:
    """Where the epoch before was left."""

    __slots__ = ("_earlier", "_last")

    def __init__(self) -> None:
        self._last = Position("", 0)
        # Whether it is certain which of the two epochs is the earlier one.
        self._earlier = False

    def leave(self, last: Position, top: Position) -> None:
        """Note that another epoch begins.

        Args:
            last: the position of the last message that was delivered.
            top: a position in the other epoch.
        """
        self._earlier = top.epoch != self._last.epoch
        self._last = last

    def has_ended(self, epoch: str) -> bool:
        """Return whether an epoch is certainly the one before."""
        return self._earlier and epoch == self._last.epoch

    def delivered(self, last: Position, top: Position, began: Position | None) -> int:
        """Return up to which offset messages of an epoch have been delivered, or may have been.

        Where an epoch begins the offsets of the one before go on: a server that lacks the newest messages gives their
        offsets out again. An epoch that was left may come back as it was. And where it is another epoch that goes on,
        that of an old copy say, its messages are old ones: which of them were delivered is not known, and no client is
        sent a message twice.

        Args:
            last: the position of the last message that was delivered.
            top: a position in the epoch.
            began: see `HistoryPage`.
        """
        if top.epoch == last.epoch:
            return last.offset
        if began is None:  # most probably the server lacks no message, and its count has gone on
            overlap = last.offset if top.offset >= last.offset else 0
        elif began.epoch == last.epoch:
            overlap = min(last.offset, began.offset)
        else:
            overlap = began.offset
        return max(overlap, self._last.offset) if top.epoch == self._last.epoch else overlap
