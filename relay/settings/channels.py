"""Settings: what channels keep and count, for all of them and by namespace."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, InstanceOf, ValidationInfo, field_validator

from relay.auth.personal_channels import MAX_PERSONAL_CHANNELS, read_personal_channel
from relay.brokers.presence import PRESENCE_TTL_SECONDS
from relay.namespaces import HISTORY_TTL_SECONDS, ChannelOptions, Namespaces, NoJson
from relay.settings.access import AccessSettings
from relay.settings.field import PREFIX, setting
from relay.settings.messages import MessageSettings
from relay.settings.namespace_values import (
    Bounds,
    HistoryBytes,
    HistorySize,
    HistoryTtl,
    NamespacesFile,
    SubscriberRights,
    read_file,
    read_json,
    read_namespaces,
    rights_of,
)
from relay.settings.values import Lowered, Range, ValueKind, split_list

_Switch = Annotated[Literal["on", "off"], Lowered]

_NAMED: Final = ValueKind(
    "JSON", 'an object of namespaces and their options, such as {"chat": {"history_size": 100}}; see docs/channels.md'
)
_FILE: Final = ValueKind("file", "the same, in a .json or .toml file that this process can read")


def _read_personal(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(patterns) <= MAX_PERSONAL_CHANNELS:
        raise ValueError(f"1 to {MAX_PERSONAL_CHANNELS}")
    return tuple(dict.fromkeys(map(read_personal_channel, patterns)))


PersonalPatterns = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_read_personal),
    ValueKind("list", "names of channels with {sub} in them, such as user:{sub}, separated by commas"),
]


class ChannelSettings(AccessSettings, MessageSettings):
    """History, positions and presence of channels without a namespace; and all options of the others.

    It is checked together with rights and sizes of messages, which namespaces may have of their own.
    """

    history_size: HistorySize = setting(
        0, "Channels", "Messages that a channel without a namespace keeps for clients that come back; 0: none."
    )
    history_ttl: HistoryTtl | None = setting(
        None, "Channels", "Seconds for which a history is kept after its last message. Not set: 300."
    )
    history_bytes: HistoryBytes | None = setting(
        None, "Channels", "Most bytes of messages in one history. Not set: 1048576, or the largest message."
    )
    positions: _Switch = setting(
        "off", "Channels", "Whether to count a channel's messages: after a gap only clients that missed some are told."
    )
    presence: _Switch = setting("off", "Channels", "Whether all gateways know who is on a channel without a namespace.")
    join_leave: _Switch = setting(
        "off", "Channels", "Whether clients may hear who joins and leaves a channel without a namespace."
    )
    force_push_join_leave: _Switch = setting(
        "off",
        "Channels",
        "Whether Centrifuge clients hear joins and leaves without asking, also if the server subscribes them.",
    )
    subscriber_rights: SubscriberRights | None = setting(
        None,
        "Channels",
        "What Centrifuge clients may also do in a channel while they are subscribed to it.",
    )
    no_json: Annotated[NoJson, Lowered] = setting(
        "drop", "Channels", "What Centrifuge clients with JSON get for a message that isn't JSON: nothing, or its text."
    )
    delta: _Switch = setting(
        "off", "Channels", "Whether Centrifuge clients may get only what has changed since the previous message."
    )
    cache: _Switch = setting(
        "off", "Channels", "Whether a Centrifuge client that comes back gets only the newest message."
    )
    user_channels: PersonalPatterns | None = setting(
        None, "Channels", "Channels to which the server subscribes each Centrifuge client that has a user."
    )
    presence_ttl: Annotated[float, Range("seconds", 5, 3600)] = setting(
        PRESENCE_TTL_SECONDS, "Channels", "Seconds after which the clients of a gateway that was killed are gone."
    )
    namespaces: Annotated[dict[str, InstanceOf[ChannelOptions]], _NAMED] | None = setting(
        None, "Channels", "Options of channels by namespace, the part of their names before the first colon."
    )
    namespaces_file: Annotated[InstanceOf[NamespacesFile], _FILE] | None = setting(
        None, "Channels", "File of these options, instead of RELAY_NAMESPACES."
    )
    on_gap: Annotated[Literal["close", "keep"], Lowered] = setting(
        "close", "Channels", "After a gap that can't be filled, plain WebSockets are closed with 1012, or kept."
    )
    gap_seconds: Annotated[float, Range("seconds", 0, 3600)] = setting(
        30.0, "Channels", "Seconds over which the WebSockets of one gap are closed, at an even pace."
    )

    @property
    def named_options(self) -> dict[str, ChannelOptions]:
        """The options of channels, by the names of namespaces."""
        return self.namespaces or (self.namespaces_file.named if self.namespaces_file else {})

    @property
    def default_rights(self) -> dict[str, str] | None:
        """What all clients may do, by pattern: RELAY_RIGHTS, and the rights of namespaces. None: neither is set."""
        of_namespaces = rights_of(self.named_options)
        return {**(self.rights or {}), **of_namespaces} if of_namespaces else self.rights

    @field_validator("history_ttl", "history_bytes")
    @classmethod
    def _only_with_a_history(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("history_size") == 0:
            raise ValueError(f"only with {PREFIX}HISTORY_SIZE: else the channel keeps no messages")
        return value

    @field_validator("join_leave")
    @classmethod
    def _only_with_presence(cls, value: str, info: ValidationInfo) -> str:
        if value == "on" and info.data.get("presence") == "off":
            raise ValueError(f"only with {PREFIX}PRESENCE: else gateways don't know who is there")
        return value

    @field_validator("force_push_join_leave")
    @classmethod
    def _only_with_joins(cls, value: str, info: ValidationInfo) -> str:
        if value == "on" and info.data.get("join_leave") == "off":
            raise ValueError(f"only with {PREFIX}JOIN_LEAVE: else no client is told")
        return value

    @field_validator("delta")
    @classmethod
    def _only_with_positions(cls, value: str, info: ValidationInfo) -> str:
        if value == "on" and info.data.get("history_size") == 0 and info.data.get("positions") == "off":
            raise ValueError(
                f"only with {PREFIX}HISTORY_SIZE or {PREFIX}POSITIONS: else a client may lack the previous message"
            )
        return value

    @field_validator("cache")
    @classmethod
    def _only_with_messages(cls, value: str, info: ValidationInfo) -> str:
        if value == "on" and info.data.get("history_size") == 0:
            raise ValueError(f"only with {PREFIX}HISTORY_SIZE: else the channel keeps no messages")
        return value

    @field_validator("history_bytes")
    @classmethod
    def _room_in_the_history(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < (largest := info.data.get("max_message_bytes", 0)):
            raise ValueError(f"at least {PREFIX}MAX_MESSAGE_BYTES, which is {largest}")
        return value

    @field_validator("namespaces", mode="before")
    @classmethod
    def _read_namespaces(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        given = read_json(value) if isinstance(value, str) else value
        return read_namespaces(given, f"{PREFIX}NAMESPACES", _bounds(info.data))

    @field_validator("namespaces_file", mode="before")
    @classmethod
    def _read_namespaces_file(cls, value: object, info: ValidationInfo) -> object:
        if value is None or isinstance(value, NamespacesFile):
            return value
        if info.data.get("namespaces") is not None:
            raise ValueError(f"not together with {PREFIX}NAMESPACES")
        path = str(value)
        return NamespacesFile(path, read_namespaces(read_file(path), f"{PREFIX}NAMESPACES_FILE", _bounds(info.data)))


def _bounds(data: dict[str, Any]) -> Bounds:
    """Return the bounds of namespaces, from the settings that are valid."""
    return Bounds(data.get("max_message_bytes"), data.get("rights") or {})


def namespaces_of(settings: ChannelSettings) -> Namespaces:
    """Return the options of all channels."""
    default = ChannelOptions(
        history_size=settings.history_size,
        history_ttl=HISTORY_TTL_SECONDS if settings.history_ttl is None else settings.history_ttl,
        history_bytes=settings.history_bytes or Bounds(settings.max_message_bytes).history_bytes(),
        positions=settings.positions == "on",
        presence=settings.presence == "on",
        join_leave=settings.join_leave == "on",
        force_push_join_leave=settings.force_push_join_leave == "on",
        subscriber_rights=settings.subscriber_rights or "",
        no_json=settings.no_json,
        delta=settings.delta == "on",
        cache=settings.cache == "on",
    )
    return Namespaces(default, settings.named_options)
