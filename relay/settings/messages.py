"""Settings: messages, and the buffers in which they wait."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ValidationInfo, field_validator

from relay.settings.field import PREFIX, setting
from relay.settings.values import (
    ChannelName,
    Lowered,
    Range,
    Text,
)

MessageBytes = Annotated[int, Range("bytes", 1, 67_108_864)]
"""Of one message's payload."""


class MessageSettings(BaseModel):
    """Sizes of messages and buffers, and what happens when these are full."""

    max_message_bytes: MessageBytes = setting(
        65_536, "Messages", "Largest message of a client; a client that sends a larger one is closed with 1009."
    )
    publish_buffer_bytes: Annotated[int, Range("bytes", 1024, 2**40)] = setting(
        16_777_216, "Messages", "Bytes of messages that wait for the bus: half for WebSockets, the rest for HTTP."
    )
    send_buffer_bytes: Annotated[int, Range("bytes", 1024, 2**30)] = setting(
        1_048_576, "Messages", "Bytes that may wait for one client; with more it is a slow consumer."
    )
    slow_consumer: Annotated[Literal["close", "drop"], Lowered] = setting(
        "close",
        "Messages",
        "close: slow consumers are closed with 1013; drop: they miss messages. With a history always close.",
    )
    write_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        30.0, "Messages", "Seconds after which a client is closed if its socket takes no bytes."
    )
    write_delay: Annotated[float, Range("milliseconds", 0, 1000)] = setting(
        0.0, "Messages", "Milliseconds between two writes to clients under load; a larger value saves CPU."
    )
    default_channel: ChannelName = setting("lobby", "Messages", "Channel of clients that connect to / or /ws.")
    welcome: Text | None = setting(None, "Messages", "First text message to each client. Not set: none.")

    @field_validator("publish_buffer_bytes", "send_buffer_bytes")
    @classmethod
    def _room_for_a_message(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a buffer that is smaller than the largest allowed message."""
        if value < (largest := info.data.get("max_message_bytes", 0)):
            raise ValueError(f"at least {PREFIX}MAX_MESSAGE_BYTES, which is {largest}")
        return value
