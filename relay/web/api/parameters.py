"""Parameters of the methods, one struct for each. The OpenAPI document is made from them, docstrings included."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from relay.attributes import MAX_TAGS_BYTES
from relay.brokers.block_store import MAX_BLOCK_SECONDS
from relay.control.messages import MAX_PATTERN_LETTERS
from relay.idempotency_key import MAX_LETTERS
from relay.position import MAX_OFFSET

ChannelField = Annotated[
    str,
    Meta(description="Name of a channel: 1 to 255 bytes of UTF-8, no white space, no control or invisible characters."),
]
UserField = Annotated[
    str, Meta(description="Name of a user, as a token, a key or `?user=NAME` says it.", max_length=255)
]
ExpireAt = Annotated[
    float, Meta(description="Seconds since 1970, in the future; 0: as if it were not there.", ge=0, lt=10**11)
]
ClientId = Annotated[str, Meta(description="Id of one connection: 32 hexadecimal digits.", pattern="^[0-9a-f]{32}$")]
DataField = Annotated[Raw, Meta(description="Any JSON; clients get its text as it stands here, as a text message.")]
Base64Field = Annotated[str, Meta(description="Instead of `data`: a binary message, in base64.")]

NotAvailableText = Annotated[str, Meta(description="Not available: empty alone is accepted.")]
TagsField = Annotated[
    dict[str, str],
    Meta(
        description=f"Strings that go along with the message: {MAX_TAGS_BYTES} bytes at most, as JSON without spaces."
    ),
]
SkipHistoryField = Annotated[bool, Meta(description="Only where no history is kept.")]
IdempotencyKeyField = Annotated[
    str,
    Meta(
        description="Names the message in its channel for five minutes: the same key again publishes nothing, and is "
        "answered as the first time. Printable ASCII; empty: no key.",
        max_length=MAX_LETTERS,
        pattern="^[ -~]*$",
    ),
]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parameters. An unknown field is an error: it may be a mistyped one."""


class PublishParameters(Parameters, frozen=True):
    """A message to one channel."""

    channel: ChannelField
    data: DataField = msgspec.field(default_factory=Raw)
    b64data: Base64Field = ""
    skip_history: SkipHistoryField = False
    tags: TagsField = msgspec.field(default_factory=dict)
    idempotency_key: IdempotencyKeyField = ""


class BroadcastParameters(Parameters, frozen=True):
    """One message to several channels."""

    channels: Annotated[list[ChannelField], Meta(min_length=1, max_length=1000)]
    data: DataField = msgspec.field(default_factory=Raw)
    b64data: Base64Field = ""
    skip_history: SkipHistoryField = False
    tags: TagsField = msgspec.field(default_factory=dict)
    idempotency_key: IdempotencyKeyField = ""


class SubscribeParameters(Parameters, frozen=True):
    """Clients of a user, or one client, that shall hear a channel without asking, whatever their rights."""

    channel: ChannelField
    user: UserField = ""
    client: ClientId | None = None
    info: Annotated[Raw, Meta(description="JSON that others are shown of the clients in this channel.")] = (
        msgspec.field(default_factory=Raw)
    )
    b64info: Annotated[str, Meta(description="Instead of `info`: the same in base64.")] = ""
    data: Annotated[Raw, Meta(description="JSON for the clients.")] = msgspec.field(default_factory=Raw)
    b64data: Annotated[str, Meta(description="Instead of `data`: the same in base64.")] = ""
    session: NotAvailableText = ""
    expire_at: Annotated[float, Meta(description="Not available: 0 alone is accepted.")] = 0.0
    recover_since: Annotated[dict[str, Raw] | None, Meta(description="Not available.")] = None
    override: Annotated[dict[str, Raw] | None, Meta(description="Not available.")] = None


class UnsubscribeParameters(Parameters, frozen=True):
    """Clients of a user, or one client, that shall leave a channel."""

    channel: ChannelField
    user: UserField = ""
    client: ClientId | None = None
    session: str = ""


class CloseParameters(Parameters, frozen=True):
    """How a client is closed."""

    code: Annotated[int, Meta(ge=3000, le=4999, description="WebSocket close code.")]
    reason: Annotated[str, Meta(description="At most 123 bytes of UTF-8.", max_length=123)] = ""


class DisconnectParameters(Parameters, frozen=True):
    """Clients of a user, or one client, that shall be closed."""

    user: UserField = ""
    client: ClientId | None = None
    session: str = ""
    whitelist: Annotated[list[ClientId], Meta(max_length=1000, description="Ids of clients that stay.")] = (
        msgspec.field(default_factory=list)
    )
    disconnect: CloseParameters | None = None


class RefreshParameters(Parameters, frozen=True):
    """When the right of a user's clients, or of one client, ends; without `expire_at` it doesn't any more."""

    user: UserField = ""
    client: ClientId | None = None
    session: str = ""
    expired: Annotated[bool, Meta(description="It has ended: they are closed now.")] = False
    expire_at: ExpireAt = 0.0


class BlockUserParameters(Parameters, frozen=True):
    """A user that shall be kept out, for so many seconds, or until some time."""

    user: UserField
    ttl: Annotated[float, Meta(description="Seconds.", gt=0, le=MAX_BLOCK_SECONDS)] | None = None
    expire_at: ExpireAt = 0.0


class UnblockUserParameters(Parameters, frozen=True):
    """A user that may come in again."""

    user: UserField


class ChannelsParameters(Parameters, frozen=True):
    """Which channels to tell about."""

    pattern: Annotated[
        str, Meta(max_length=MAX_PATTERN_LETTERS, description="With `*`, `?` and `[...]`; empty: all channels.")
    ] = ""


class SinceParameters(Parameters, frozen=True):
    """A position, as an answer has told it."""

    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] = 0
    epoch: Annotated[str, Meta(max_length=64, description="Empty: of whatever epoch.")] = ""


class HistoryParameters(Parameters, frozen=True):
    """Which part of a channel's history."""

    channel: ChannelField
    limit: Annotated[int, Meta(ge=-1, description="Messages; 0: only the position; -1: as many as one answer has.")] = 0
    since: SinceParameters | None = None
    reverse: Annotated[bool, Meta(description="From the newest message on; with `since`, from that before it.")] = False


class HistoryRemoveParameters(Parameters, frozen=True):
    """Whose messages are removed."""

    channel: ChannelField


class PresenceParameters(Parameters, frozen=True):
    """Whose clients are named."""

    channel: ChannelField


class PresenceStatsParameters(Parameters, frozen=True):
    """Whose clients are counted."""

    channel: ChannelField


class InfoParameters(Parameters, frozen=True):
    """Nothing."""


class BatchParameters(Parameters, frozen=True):
    """Several commands; each is an object with the name of a method and its parameters."""

    commands: Annotated[list[dict[str, Raw]], Meta(max_length=1000)]
    parallel: Annotated[bool, Meta(description="Makes no difference: all are sent at once, in order.")] = False
