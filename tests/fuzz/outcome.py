"""What an input has come to, as far as it must not depend on the pieces in which it arrives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from tests.fuzz.replies import Frame, Said

Publication = tuple[str, int, bytes]
"""Channel, opcode and payload."""

_FAILURES = (1002, 1003, 1007, 1008, 1009, 3500, 3501, 3505, 3507, 3508)
"""Close codes of a client that has broken the protocol."""

_NAMES = re.compile(r'"(?:client|session|node)":"[^"]*"')

_BROKEN = (b"the body is broken", b"the request has no end")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an input has come to.

    Args:
        said: what the client was told.
        published: what healthy clients have heard of it.
    """

    said: Said
    published: list[Publication]

    def allows(self, pieces: Outcome) -> bool:
        """Return whether the same bytes, whole here, may have come to something else in pieces.

        They may in two cases. A stream ends for what comes behind its request. And when a body is broken that has come
        whole, the request is refused before it is answered; what comes in pieces may have been answered before.
        """
        if self.published != pieces.published:
            return False
        for whole, in_pieces in zip_longest(self.said.responses, pieces.said.responses):
            if whole != in_pieces:
                return None not in (whole, in_pieces) and whole[0] == 400 and whole[1].startswith(_BROKEN)
        said = self.said
        # A stream ends without a word when much comes behind its request: whole, that is before the client is let in.
        same = said.alert == pieces.said.alert and _masked(said.events) in ([], _masked(pieces.said.events))
        return same and _answers(said.frames) == _answers(pieces.said.frames)


def _masked(events: list[str]) -> list[str]:
    """Return events without what is another one for each client."""
    return [_NAMES.sub("", event) for event in events]


def _answers(frames: list[Frame]) -> list[Frame]:
    """Return the pongs and the close frame.

    A client's own messages come back at the end of a turn of the event loop, pongs at once, so their order may differ.
    A client that has broken the protocol meanwhile gets neither.
    """
    closes = [payload for opcode, payload in frames if opcode == 8]
    if closes and int.from_bytes(closes[0][:2], "big") in _FAILURES:
        return [(8, closes[0])]
    return [frame for frame in frames if frame[0] >= 8]
