"""A user that comes to a channel, or goes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

KINDS: Final = ("watching", "join", "leave")
"""Of the events that tell of users; see docs/protocol.md."""


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A user that comes to a channel, or goes.

    Args:
        joined: whether it comes.
        client: id of its first client, or of its last one.
        user: its name; None: a client without a user.
        info: JSON of its credential, decoded; None: there is none.
    """

    joined: bool
    client: str
    user: str | None
    info: Any

    @classmethod
    def read(cls, kind: str, data: str) -> PresenceChange | None:
        """Return what an event says; None: that all are told from here on.

        Raises:
            ValueError, KeyError, TypeError, RecursionError: no relay says that.
        """
        said = json.loads(data)
        if kind == "watching":
            return None
        client, user = said["client"], said["user"]
        if not isinstance(client, str) or not isinstance(user, str | None):
            raise TypeError
        return cls(kind == "join", client, user, said["info"])
