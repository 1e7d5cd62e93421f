"""The parsers of the Centrifuge protocol: what clients say, and what stands in what is said to them."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

from relay.errors import ProtocolError
from relay.message import Kind, Message
from relay.protocols.centrifuge import emulation, fossil
from relay.protocols.centrifuge.commands import Command
from relay.protocols.centrifuge.formats import Format, FormatError
from relay.protocols.centrifuge.json_format import FORMAT as JSON
from relay.protocols.centrifuge.json_payload import json_payload
from relay.protocols.centrifuge.protobuf_format import FORMAT as PROTOBUF
from relay.protocols.centrifuge.unread import COMMANDS_PER_TURN, Unread
from tests.fuzz.grammar import centrifuge
from tests.fuzz.parsers.parser import Parser, Wrong, expect


def read_commands(format: Format, data: bytes) -> list[Command]:
    """Return commands as a client's are read: a few at a time."""
    unread, read = Unread(format, data), list[Command]()
    while (command := unread.first()) is not None:
        expect(command, Command)
        read.append(command)
        unread.take()
    if not read:
        raise Wrong("no command, and no error")
    if len(read) <= COMMANDS_PER_TURN and format.read(data) != read:
        raise Wrong(f"at once it is something else: {read}")
    return read


def read_json_commands(data: bytes) -> list[Command]:
    """Return commands in JSON."""
    return read_commands(JSON, data)


def read_protobuf_commands(data: bytes) -> list[Command]:
    """Return commands in Protobuf."""
    return read_commands(PROTOBUF, data)


def read_payload(data: bytes) -> bytes:
    """Return the push of a message to JSON clients, in which its payload stands as a value on one line, or a string."""
    made = json_payload(data)
    if made is not None:
        if b"\n" in made:
            raise Wrong("it has a line break")
        try:
            json.loads(made)
        except RecursionError:
            pass
        except ValueError as error:
            raise Wrong(f"clients can't read it: {error}") from None
    push = JSON.publication(Message("x", data, Kind.BINARY))
    try:
        said = json.loads(push)
    except RecursionError:
        return push
    if [*said["push"]] != ["channel", "pub"] or [*said["push"]["pub"]] != ["data"]:
        raise Wrong(f"it breaks out of its push: {push[:300]!r}")
    return push


def make_pair(random: Random) -> bytes:
    """Return two payloads with a zero between them, the second like the first."""
    first = random.choice((b"", b"ab" * random.choice((1, 50, 500)), json.dumps(centrifuge.commands(random)).encode()))
    second = bytearray(first)
    for _ in range(random.choice((0, 1, 3))):
        at = random.randrange(len(second) + 1)
        second[at : at + random.choice((0, 1, 40))] = random.choice((b"", b"x", b"\xe2\x82\xac", first[:100]))
    return first + b"\0" + bytes(second)


def read_delta(data: bytes) -> bytes:
    """Return the difference between two payloads, which must lead from one to the other; empty: there is none."""
    source, _, target = data.partition(b"\0")
    delta = fossil.create(source, target)
    if delta is not None:
        if len(delta) >= len(target):
            raise Wrong(f"{len(delta)} bytes for a target of {len(target)}")
        if _apply(source, delta) != target:
            raise Wrong("it leads to something else")
        if _is_text(target) and not _is_text(delta):
            raise Wrong("it cuts a character")
    return delta or b""


def _apply(source: bytes, delta: bytes) -> bytes:
    digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

    def number(at: int) -> tuple[int, int]:
        value = 0
        while delta[at] in digits:
            value, at = value * 64 + digits.index(delta[at]), at + 1
        return value, at

    made = bytearray()
    _, at = number(0)
    at += 1
    while True:
        value, at = number(at)
        mark, at = delta[at : at + 1], at + 1
        if mark == b";":
            return bytes(made)
        if mark == b":":
            made += delta[at : at + value]
            at += value
        else:
            start, at = number(at)
            at += 1
            made += source[start : start + value]


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def make_emulation(random: Random) -> bytes:
    """Return the body of a request by which a client speaks."""
    return centrifuge.streams(random).partition(b"\r\n\r\n")[2]


def read_emulation(data: bytes) -> tuple[Any, ...]:
    """Return what such a body says, in both formats."""
    results = [_try(read, data) for read in (emulation.read_json, emulation.read_protobuf)]
    if all(isinstance(result, FormatError) for result in results):
        raise results[0]
    return tuple(str(result) if isinstance(result, FormatError) else result for result in results)


def _try(read: Any, data: bytes) -> Any:
    try:
        request = read(data)
    except FormatError as error:
        return error
    expect(request, emulation.EmulationRequest)
    return request


_ERRORS: Final = (FormatError, ProtocolError)

PARSERS: Final = {
    "json-commands": Parser(
        10, centrifuge.json_message, centrifuge.TOKENS, read_json_commands, errors=_ERRORS, for_clients=False
    ),
    "protobuf-commands": Parser(
        10, centrifuge.protobuf_message, centrifuge.TOKENS, read_protobuf_commands, errors=_ERRORS, for_clients=False
    ),
    "emulation": Parser(
        3, make_emulation, centrifuge.TOKENS, read_emulation, errors=_ERRORS, for_clients=False, untouched=0.2
    ),
    "json-payload": Parser(6, centrifuge.json_message, centrifuge.TOKENS, read_payload, errors=()),
    "delta": Parser(4, make_pair, centrifuge.TOKENS, read_delta, errors=()),
}
