"""Why a client isn't let in: the sentence that it is told, and the word by which it is counted."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

FULL: Final = "this gateway is full"
SHUTTING_DOWN: Final = "this gateway is shutting down"
UNACKNOWLEDGED: Final = "the bus did not acknowledge the subscription in time"
REFUSED_BY_BUS: Final = "the bus refused the subscription"

_UNAVAILABLE = {FULL: "full", SHUTTING_DOWN: "draining", UNACKNOWLEDGED: "bus_timeout", REFUSED_BY_BUS: "bus_refused"}
"""How refusals with 503 are counted; all others by the words for their status."""


def cause(status: int, reason: str) -> str:
    """Return a refusal's name in the counters, such as `full` or `bad_request`."""
    return _UNAVAILABLE.get(reason, HTTPStatus(status).phrase.lower().replace(" ", "_"))
