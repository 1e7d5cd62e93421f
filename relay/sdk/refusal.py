"""An answer of a gateway that says no."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

from aiohttp import ClientResponse

from relay.redaction import escape_controls

_SENTENCE_BYTES: Final = 500

_FOR_NOW: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a gateway, or a proxy in front of it, doesn't do what it was asked for.

    Args:
        status: HTTP status.
        reason: its sentence, or what the status means.
        retry_after_seconds: for which it asks; 0: it doesn't.
    """

    status: int
    reason: str
    retry_after_seconds: float = 0.0

    @classmethod
    async def read(cls, response: ClientResponse) -> Self:
        """Read an answer, but not to its end."""
        if response.status == HTTPStatus.OK:
            reason = f"there is no relay at this address: the answer is {response.content_type}"
        elif "Location" in response.headers:
            reason = f"it redirects clients to {response.headers['Location'][:_SENTENCE_BYTES]}"
        elif response.content_type == "text/plain":
            reason = (await response.content.read(_SENTENCE_BYTES)).decode(errors="replace").strip()
        else:
            reason = response.reason or "no reason"
        wait = response.headers.get("Retry-After", "")
        seconds = float(wait) if re.fullmatch("[0-9]{1,6}", wait) else 0.0
        return cls(response.status, sentence(reason), seconds)

    @property
    def for_now(self) -> bool:
        """Whether it may help to ask again later."""
        return self.status >= 500 or self.status in _FOR_NOW


def sentence(said: str) -> str:
    """Return what a gateway says as a part of a line in a log: a short one, in which everything can be seen."""
    return escape_controls(said[:_SENTENCE_BYTES])
