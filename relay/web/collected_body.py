"""The body of a request that aiohttp doesn't get, as it is collected."""

from __future__ import annotations

import re
from typing import Final

from relay.errors import Refused
from relay.protocols.http_body import body_of
from relay.protocols.http_request import RequestHead

_EXPECT: Final = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class CollectedBody:
    """A body with a limit of its size.

    Args:
        head: of the request.
        limit: most bytes.

    Attributes:
        head: see above.
        data: what has come of it.
        expects_continue: whether the client waits to be told that it may send the body.

    Raises:
        Refused: with 413; it says that it is larger.
    """

    def __init__(self, head: RequestHead, limit: int) -> None:
        if (head.length or 0) > limit:
            raise Refused(413, f"the body has {head.length} bytes, more than {limit}")
        self._limit = limit
        self._body = body_of(head.length)
        self.head = head
        self.data = bytearray()
        self.expects_continue = _EXPECT.search(head.raw) is not None

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return self._body.complete

    def take(self, buffer: bytearray) -> bool:
        """Remove what belongs to the body from the beginning of a buffer, at most what one turn may take.

        Returns:
            Whether that was anything.

        Raises:
            Refused: with 400, the body is malformed; with 413, it is too large.
        """
        before = len(buffer)
        self.data += self._body.take_data(buffer)
        if len(self.data) > self._limit:
            raise Refused(413, f"the body has more than {self._limit} bytes")
        return len(buffer) < before
