"""The two formats of the protocol, as a client writes and reads them.

Protobuf is that of the official SDK for Python, whose code comes from the public schema: no mistake of the relay's own
codec can hide in both. What it says is shown in the shape of JSON: fields that aren't sent are missing, bytes that hold
JSON are its value.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Protocol

from centrifuge.protocol import client_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.internal.decoder import _DecodeVarint32 as read_length  # type: ignore[attr-defined]
from google.protobuf.internal.encoder import _VarintBytes as length_of  # type: ignore[attr-defined]
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

Json = dict[str, Any]

NEWER_FIELDS = {("Publication", 14): "epoch"}
"""Names of fields that have come after the SDK's schema."""


class Wire(Protocol):
    """A format."""

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What a client offers in the handshake."""

    def write(self, commands: list[Json]) -> str | bytes:
        """Return the frame with some commands."""

    def read(self, frame: str | bytes) -> list[Json]:
        """Return what a frame of the server says."""


class JsonWire:
    """Lines of JSON in text frames."""

    subprotocols: tuple[str, ...] = ()

    def write(self, commands: list[Json]) -> str | bytes:
        return "\n".join(map(json.dumps, commands))

    def read(self, frame: str | bytes) -> list[Json]:
        assert isinstance(frame, str), "JSON comes in text frames"
        return [json.loads(line) for line in frame.split("\n")]


class ProtobufWire:
    """Messages with their lengths in binary frames."""

    subprotocols: tuple[str, ...] = ("centrifuge-protobuf",)

    def write(self, commands: list[Json]) -> str | bytes:
        messages = [_message(client_pb2.Command(), command).SerializeToString() for command in commands]
        return b"".join(length_of(len(message)) + message for message in messages)

    def read(self, frame: str | bytes) -> list[Json]:
        assert isinstance(frame, bytes), "Protobuf comes in binary frames"
        replies, place = [], 0
        while place < len(frame):
            length, place = read_length(frame, place)
            replies.append(_plain(client_pb2.Reply.FromString(frame[place : place + length])))
            place += length
        return replies


WIRES: dict[str, Wire] = {"json": JsonWire(), "protobuf": ProtobufWire()}


def _message(message: Message, values: Json) -> Any:
    """Return a message with the values of an object of JSON; fields that the schema doesn't know are left out."""
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            continue
        if _is_map(field):
            for key, entry in value.items():
                target = getattr(message, name)
                if isinstance(entry, dict):
                    _message(target[key], entry)
                else:
                    target[key] = entry
        elif field.message_type is not None:
            getattr(message, name).SetInParent()
            _message(getattr(message, name), value)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, name, value if isinstance(value, bytes) else _json(value))
        else:
            setattr(message, name, value)
    return message


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(message: Message) -> Json:
    """Return a message as an object of JSON; with fields that the SDK's schema doesn't know, by their numbers."""
    plain = {field.name: _value(field, value) for field, value in message.ListFields()}
    for field in iter(UnknownFieldSet(message)):
        value = field.data.decode() if isinstance(field.data, bytes) else field.data
        plain[NEWER_FIELDS.get((message.DESCRIPTOR.name, field.field_number), f"field {field.field_number}")] = value
    return plain


def _value(field: Any, value: Any) -> Any:
    if _is_map(field):
        return {key: _plain(entry) if isinstance(entry, Message) else entry for key, entry in value.items()}
    if field.message_type is not None:
        return [_plain(entry) for entry in value] if field.is_repeated else _plain(value)
    return _bytes(value) if isinstance(value, bytes) else value


def _bytes(value: bytes) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return f"base64:{base64.b64encode(value).decode()}"


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
