"""What a token or a back end says to a client that connects, besides who it is: its subscriptions, and data.

It is for clients that can have several subscriptions, as those of Centrifuge can: they needn't ask for these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from relay.auth.given_json import MAX_INFO_BYTES, is_json
from relay.channel import check_channel
from relay.errors import ChannelError, RelayError
from relay.protocols.multiplexed import ServerSubscription

MAX_SUBSCRIPTIONS: Final = 128
"""Of one client by its token or its back end."""

MAX_SERVER_SIDE_BYTES: Final = 16_384
"""Of all JSON that is given along with one client, but for its `info`: clients wait with it, and answers are kept."""


class ServerSideError(RelayError):
    """Subscriptions or data can't be given to a client.

    Args:
        part: which of them.
        rule: that it breaks; a sentence without its subject.
    """

    def __init__(self, part: str, rule: str) -> None:
        super().__init__(part, rule)
        self.part = part
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.part}: {self.rule}"


NO_SUBSCRIPTIONS: Final[Mapping[str, ServerSubscription]] = MappingProxyType({})

PLAIN_SUBSCRIPTION: Final = ServerSubscription()
"""One that is given with nothing else."""


class ServerSide(msgspec.Struct, frozen=True):
    """What a client is given when it connects.

    Args:
        subscriptions: by channel. They are allowed by being here, whatever the client's rights say.
        data: JSON for the client; None: nothing.
        meta: a JSON object for back ends, which no client is shown; None: nothing.
    """

    subscriptions: Mapping[str, ServerSubscription] = NO_SUBSCRIPTIONS
    data: bytes | None = None
    meta: bytes | None = None


def check_server_side(given: ServerSide) -> None:
    """Raise `ServerSideError` for what can't be given to a client: by its token, its back end, or a program."""
    if len(given.subscriptions) > MAX_SUBSCRIPTIONS:
        raise ServerSideError("subscriptions", f"only {MAX_SUBSCRIPTIONS} are allowed")
    parts: list[tuple[str, bytes | None]] = [("data", given.data), ("meta", given.meta)]
    for channel, subscription in given.subscriptions.items():
        try:
            check_channel(channel)
        except ChannelError as error:
            raise ServerSideError(f"the subscription to {channel[:80]!r}", error.rule) from None
        if subscription.info is not None and len(subscription.info) > MAX_INFO_BYTES:
            raise ServerSideError(f"info of {channel}", f"must have at most {MAX_INFO_BYTES} bytes")
        parts += ((f"info of {channel}", subscription.info), (f"data of {channel}", subscription.data))
    size = 0
    for name, text in parts:
        if text is not None:
            size += len(text)
            if not is_json(text):
                raise ServerSideError(name, "must be JSON in UTF-8")
    if size > MAX_SERVER_SIDE_BYTES:
        raise ServerSideError("data", f"all of it, meta included, must have at most {MAX_SERVER_SIDE_BYTES} bytes")
    if given.meta is not None and not given.meta.lstrip(b" \t\r\n").startswith(b"{"):
        raise ServerSideError("meta", "must be an object")
