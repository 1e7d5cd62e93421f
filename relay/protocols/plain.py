"""The plain protocol: a WebSocket is a channel, every message is a message. No client library needed.

`ws://HOST/ws/CHANNEL`; `/` and `/ws` mean the default channel. `?echo=1`: also get one's own messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay.errors import Refused
from relay.protocols.frame import encode_frame
from relay.protocols.request import ConnectRequest, requested_channel

ROOT = "/ws"

FIRST_OFFERED: Final = "*"

encode = encode_frame


@dataclass(frozen=True, slots=True)
class PlainSession:
    """What a client of the plain protocol asks for.

    Args:
        channel: the one channel that it listens to and writes to.
        echo: whether it gets its own messages back.
    """

    channel: str
    echo: bool


def open_session(request: ConnectRequest, default_channel: str) -> PlainSession:
    """Read what a client asks for.

    Raises:
        Refused: with 404 for a path that isn't a WebSocket endpoint, with 400 for a bad channel or parameter.
    """
    if request.path == "/":
        channel = default_channel
    elif request.path == ROOT or request.path.startswith(ROOT + "/"):
        channel = requested_channel(request, ROOT, default_channel)
    else:
        raise Refused(404, "no WebSocket here; connect to /ws/CHANNEL")
    echo = request.query.get("echo", "0")
    if echo not in ("0", "1"):
        raise Refused(400, "echo must be 0 or 1")
    return PlainSession(channel, echo == "1")


def select_subprotocol(offered: Sequence[str], accepted: Sequence[str]) -> str | None:
    """Return the subprotocol to speak with a client; None: none that it offers is accepted.

    It changes nothing here: messages pass untouched, and what they mean is between the clients of a channel.

    Args:
        offered: by the client, in its order.
        accepted: in the order of preference; `FIRST_OFFERED` stands for whatever the client names first.
    """
    for name in accepted:
        if name in offered:
            return name
        if name == FIRST_OFFERED and offered:
            return offered[0]
    return None
