"""The parsers of the bus: envelopes with their positions, and the messages of gateways to each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from relay.brokers.envelope import EnvelopeError, open_envelope, seal, seal_with_position
from relay.control.commands import ControlMessage
from relay.control.messages import ControlMessageError, NodeInfo, SurveyReply, decode_broadcast, decode_inbox, encode
from relay.message import ORIGIN_BYTES, Kind, Message, PositionedMessage, attributes_of
from tests.fuzz.grammar import bus
from tests.fuzz.grammar.json_text import vary
from tests.fuzz.parsers.parser import Parser, Wrong, expect


def read_envelope(data: bytes) -> Message:
    """Return the message of an envelope, with its position where it has one."""
    message = open_envelope("x", data)
    expect(message, Message)
    expect(message.kind, Kind)
    if len(message.origin) != ORIGIN_BYTES:
        raise Wrong(f"an origin of {len(message.origin)} bytes")
    if message.kind is Kind.TEXT:
        try:
            message.payload.decode()
        except UnicodeDecodeError:
            raise Wrong("a text that is no UTF-8") from None
    _check_attributes(message)
    position = message.position if isinstance(message, PositionedMessage) else None
    sealed = seal(message) if position is None else seal_with_position(message, position)
    if open_envelope("x", sealed) != message:
        raise Wrong(f"written again it is another message: {message}")
    return message


def _check_attributes(message: Message) -> None:
    """They go into what clients get, as they are."""
    attributes = attributes_of(message)
    if attributes is None:
        return
    for value in (attributes.publisher, attributes.tags):
        if b"\n" in value or (value and not isinstance(json.loads(value), dict)):
            raise Wrong(f"an attribute that is no object on one line: {value!r}")


_UID: Final = "0123456789abcdef"
_NODE: Final = NodeInfo(_UID, "a:80", "1.0.0", 1, 1, 1, 1, 60)
CONTROL_MESSAGES: Final = (
    *bus.COMMANDS,
    b'{"version":1,"order":"disconnect","client":"0123456789abcdef0123456789abcdef","keep":["a","b"]}',
    b'{"version":1,"order":"refresh","user":"ann","expires_at":4102444800.5,"expired":true}',
    b'{"version":1,"order":"block_user","user":"ann","until":4102444800}',
    b'{"version":1,"order":"unblock_user","user":"ann"}',
    b'{"version":1,"order":"question","asker":"0123456789abcdef","number":1,"pattern":"*"}',
    b'{"version":1,"order":"announcement","uid":"0123456789abcdef","name":"a:80"}',
    b'{"version":1,"order":"shutdown","uid":"0123456789abcdef"}',
    encode(SurveyReply(number=1, channels={"x": 1, "\u20ac": 2})),
    encode(SurveyReply(number=2**53, about=_NODE, uid=_UID)),
)


def make_control_message(random: Random) -> bytes:
    """Return a message of one gateway to others."""
    made = random.choice(random.choice((CONTROL_MESSAGES, CONTROL_MESSAGES[len(bus.COMMANDS) :])))
    return vary(made, random) if random.random() < 0.6 else made


def read_control_message(data: bytes) -> tuple[Any, ...]:
    """Return what a message is on the channel of all gateways, and in the inbox of one."""
    results = [_try(decode, data) for decode in (decode_broadcast, decode_inbox)]
    if all(isinstance(result, ControlMessageError) for result in results):
        raise results[0]
    return tuple(result if isinstance(result, ControlMessage) else str(result) for result in results)


def _try(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        message = decode(data)
    except ControlMessageError as error:
        return error
    expect(message, ControlMessage)
    if decode(encode(message)) != message:
        raise Wrong(f"written again it is another message: {message}")
    return message


PARSERS: Final = {
    "bus-envelope": Parser(20, bus.envelope, bus.TOKENS, read_envelope, errors=(EnvelopeError,), for_clients=False),
    "control-message": Parser(
        5,
        make_control_message,
        bus.COMMAND_TOKENS,
        read_control_message,
        errors=(ControlMessageError,),
        untouched=0.4,
        for_clients=False,
    ),
}
