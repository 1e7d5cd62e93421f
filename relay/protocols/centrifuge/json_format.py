"""The Centrifuge protocol in JSON: commands and replies are objects, one on each line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeVar

import msgspec

from relay.message import AttributedMessage, Attributes, Kind, Message, PositionedMessage, attributes_of
from relay.protocols.centrifuge.commands import MOST_NAMES, Command
from relay.protocols.centrifuge.formats import Format, FormatError
from relay.protocols.centrifuge.json_payload import json_payload, json_string, without_halves
from relay.protocols.centrifuge.publications import publisher_of, tags_of
from relay.protocols.centrifuge.pushes import Push
from relay.protocols.centrifuge.results import Error, HistoryResult, LongResult, PresenceResult, PublishResult, Result

_T = TypeVar("_T")

_SPACE: Final = b" \t\r\n"

_LEVELS: Final = 4
"""Objects within objects that commands have: command, request, `subs`, one of those."""

REQUEST_LEVEL: Final = 3
"""So many levels are left where a request begins."""

_decode: Final = msgspec.json.Decoder(Command).decode
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


_AROUND_PARTS: Final = {
    PresenceResult: (len(b'{"presence":{'), -len(b"}}")),
    HistoryResult: (len(b'{"publications":['), -len(b'],"epoch":"","offset":0}')),
}
"""Where the parts of a long result begin and end."""


class JsonFormat:
    """Encodes and reads JSON; see `Format`."""

    name: Literal["json", "protobuf"] = "json"
    kind = Kind.TEXT
    ping = b"{}"

    def read(self, payload: bytes) -> list[Command]:
        """Return the commands of what a client has sent; see `Format.read`."""
        lines = payload.rstrip(_SPACE).split(b"\n")
        try:
            if not payload.isascii():
                payload.decode()  # msgspec does not check the UTF-8 of `data`
            return [read_object(line, _decode, _LEVELS) for line in lines]
        except UnicodeDecodeError:
            raise FormatError("not UTF-8") from None
        except msgspec.MsgspecError as error:
            raise FormatError(str(error)) from None
        except RecursionError:
            raise FormatError("too deep") from None

    def cut(self, payload: bytes, start: int, most: int) -> int:
        """Return where a part ends; see `Format.cut`. White space at the end belongs to the last command."""
        end = start - 1
        for _ in range(most):
            end = payload.find(b"\n", end + 1)
            if end < 0:
                return len(payload)
        end += 1
        return end if end < len(payload.rstrip(_SPACE)) else len(payload)

    def reply(self, id_: int, result: Result) -> bytes:
        """Return the reply to a command that is done, encoded."""
        if type(result) is PublishResult:  # nearly all replies
            return b'{"id":%d,"publish":{}}' % id_
        return b'{"id":%d,"%b":%b}' % (id_, result.key.encode(), _encode(result))

    def part(self, result: LongResult) -> bytes:
        """Return a part of a long result, encoded: what stands between its braces or brackets."""
        before, behind = _AROUND_PARTS[type(result)]
        return _encode(result)[before:behind]

    def reply_in_parts(self, id_: int, rest: LongResult, parts: Sequence[bytes]) -> bytes:
        """Return the reply whose result has all these parts."""
        empty = b"{}" if type(rest) is PresenceResult else b"[]"  # nothing before it has either
        reply = self.reply(id_, rest)
        if not parts:
            return reply
        at = reply.index(empty) + 1
        whole = [reply[:at] + parts[0], *parts[1:]]
        whole[-1] += reply[at:]
        return b",".join(whole)  # once: it may be megabytes

    def refusal(self, id_: int, error: Error) -> bytes:
        """Return the reply to a command that has failed, encoded."""
        return b'{"id":%d,"error":%b}' % (id_, _encode(error))

    def push(self, channel: str, push: Push) -> bytes:
        """Return a push, encoded."""
        return b'{"push":%b}' % self.unidirectional_push(channel, push)

    def unidirectional_push(self, channel: str, push: Push) -> bytes:
        """Return a push to a client that can't say anything, encoded."""
        where = b'"channel":%b,' % _encode(channel) if channel else b""
        return b'{%b"%b":%b}' % (where, push.key.encode(), _encode(push))

    def data(self, payload: bytes) -> bytes | None:
        """Return a payload as a value within JSON; None: it is no JSON."""
        return json_payload(payload)

    def publication(self, message: Message, data: bytes | None = None) -> bytes:
        """Return the push of a message of the bus, encoded."""
        if data is None:
            data = json_payload(message.payload)
            if data is None:
                data = json_string(message.payload)
        if type(message) is Message:
            return _push_of(message.channel) + data + b"}}}"
        return _push_of(message.channel) + data + _rest(message) + b"}}}"

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Return replies and pushes, one on each line."""
        return b"\n".join(parts)


FORMAT: Final[Format] = JsonFormat()


@lru_cache(maxsize=1024)
def _push_of(channel: str) -> bytes:
    """Return what stands before the data of a channel's publications."""
    return b'{"push":{"channel":%b,"pub":{"data":' % _encode(channel)


def _rest(message: Message) -> bytes:
    """Return what stands behind a publication's data."""
    rest = b""
    if isinstance(message, PositionedMessage):
        position = message.position
        rest = b',"offset":%d' % position.offset
        if position.offset == 1:
            rest += b',"epoch":' + _encode(position.epoch)
    attributes = attributes_of(message)
    return rest if attributes is None else rest + _attributes(attributes.publisher, attributes.tags, message.origin)


@lru_cache(maxsize=1024)
def _attributes(publisher: bytes, tags: bytes, origin: bytes) -> bytes:
    """Return what a publication says of its publisher and of its tags: the same for all messages of one client."""
    message = AttributedMessage("", b"", origin=origin, attributes=Attributes(publisher, tags))
    told = b""
    if (info := publisher_of(message)) is not None:
        told += b',"info":' + _encode(info)
    if (found := tags_of(message)) is not None:
        told += b',"tags":' + _encode(found)
    return told


def read_object(text: bytes, decode: Callable[[bytes], _T], levels: int) -> _T:
    """Return an object of a client.

    Args:
        text: JSON.
        decode: raises `msgspec.MsgspecError`, as this does then.
        levels: objects within objects, itself included, whose members may be `null`: to servers of the protocol they
            are not there.
    """
    if b"null" in text:
        text = _without_nulls(without_halves(text), levels)
    try:
        return decode(text)
    except msgspec.ValidationError:
        raise  # JSON, but no such object
    except msgspec.DecodeError:
        return decode(without_halves(text))


def _without_nulls(text: bytes, levels: int) -> bytes:
    """Return an object of JSON without its members that are `null`, nor those of the objects in it.

    To servers of the protocol they are not there. What stands in `data` stays as it is, `null` as well: it is JSON.
    """
    if not levels or not text.startswith(b"{"):
        return text
    named = _members(text)
    if len(named) > MOST_NAMES:
        raise FormatError("too many names")
    members = {name: value for name, value in named.items() if name == "data" or bytes(value) != b"null"}
    for name, value in members.items():
        if name != "data" or levels != REQUEST_LEVEL:
            members[name] = msgspec.Raw(_without_nulls(bytes(value), levels - 1))
    return _encode(members)
