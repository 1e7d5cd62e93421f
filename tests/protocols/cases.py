"""The client protocols, each with what the contract suite needs to know to speak it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from centrifuge.protocol import client_pb2
from google.protobuf.internal.decoder import _DecodeVarint32 as read_length  # type: ignore[attr-defined]
from hypothesis import strategies as st

from relay.message import Kind
from relay.protocols import ClientProtocol, centrifuge, plain, poll, sse
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.request import ConnectRequest
from tests.centrifuge.oracle.wire import WIRES
from tests.harness.event_source import EventParser
from tests.harness.poll_client import messages_of
from tests.harness.whole_frames import frames_of
from tests.protocols import multiplexed

Payload = str | bytes


@dataclass(frozen=True, slots=True)
class Case:
    """A protocol.

    Args:
        name: of the protocol.
        make: returns the protocol of another client.
        payloads: of messages that it carries unchanged.
        decode: returns the payloads in what `encode` has returned, or several of these joined.
        requests: what a client may send.
        malformed: what it may not.
        speaks: whether clients may send anything at all.
        web_socket: whether its bytes are whole WebSocket frames.
        welcomes: whether it says the welcome.
    """

    name: str
    make: Callable[[], ClientProtocol]
    payloads: st.SearchStrategy[Payload]
    decode: Callable[[bytes], list[Payload]]
    requests: st.SearchStrategy[Payload]
    malformed: st.SearchStrategy[Payload]
    speaks: bool = True
    web_socket: bool = True
    welcomes: bool = True


def kind_of(payload: Payload) -> tuple[Kind, bytes]:
    """Return the kind and the bytes of a payload."""
    return (Kind.TEXT, payload.encode()) if isinstance(payload, str) else (Kind.BINARY, payload)


def _plain_payloads(data: bytes) -> list[Payload]:
    return [payload.decode(errors="replace") if opcode == 1 else payload for opcode, payload in frames_of(data)]


def _poll_payloads(data: bytes) -> list[Payload]:
    return messages_of({"messages": json.loads(b"[" + data[:-1] + b"]")})


def _multiplexed_payloads(data: bytes) -> list[Payload]:
    found: list[Payload] = []
    for opcode, payload in frames_of(data):
        assert opcode == 1
        publication = json.loads(payload)
        assert set(publication) == {"channel", "data"}
        found.append(json.dumps(publication["data"], separators=(",", ":"), ensure_ascii=False))
    return found


_texts = st.text(st.characters(codec="utf-8"), max_size=200)
_payloads = st.one_of(_texts, st.binary(max_size=200))
_json = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts, st.lists, max_leaves=5)
_channels = st.sampled_from(["news", "a", "日本", "with white space", "", "x" * 300])


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _commands() -> st.SearchStrategy[Payload]:
    channel = st.one_of(_channels, _texts)
    publication = st.fixed_dictionaries({"channel": channel, "data": _json})
    verbs = st.one_of(
        channel.map(lambda name: {"subscribe": name}),
        channel.map(lambda name: {"unsubscribe": name}),
        publication.map(lambda given: {"publish": given}),
    )
    return st.tuples(st.integers(1, 2**53 - 1), verbs).map(lambda pair: _dumps({"id": pair[0], **pair[1]}))


def _no_commands() -> st.SearchStrategy[Payload]:
    """Return what is no command, some of it by a little."""
    almost = st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from([0, -1, 2**53, "1", None, 1.5]),
            "subscribe": st.sampled_from([None, 1, ["news"]]),
            "unsubscribe": st.sampled_from([{}, True]),
            "publish": st.sampled_from([{}, {"channel": "news"}, {"channel": 1, "data": 2}, "news"]),
            "surprise": _json,
        },
    ).filter(bool)
    several = st.just({"id": 1, "subscribe": "a", "unsubscribe": "a"})
    lacking = st.sampled_from([{"subscribe": "a"}, {"id": 7}])
    return st.one_of(
        st.binary(max_size=50),
        _texts.filter(lambda text: not _is_object(text)),
        st.one_of(almost, several, lacking).map(_dumps),
        st.sampled_from(["[" * 5000, '{"id":1,"publish":{"channel":"a","data":' + "[" * 5000, '{"id":1', "\ufeff{}"]),
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


OPENING = ConnectRequest("/connection/websocket", {}, {}, "192.0.2.1", None)


def _centrifuge_json(data: bytes) -> list[Payload]:
    found: list[Payload] = []
    for opcode, payload in frames_of(data):
        assert opcode == 1
        (push,) = WIRES["json"].read(payload.decode())
        assert push["push"]["channel"] == "a"
        found.append(_dumps(push["push"]["pub"]["data"]))
    return found


def _centrifuge_protobuf(data: bytes) -> list[Payload]:
    found: list[Payload] = []
    for opcode, payload in frames_of(data):
        assert opcode == 2
        while payload:
            length, place = read_length(payload, 0)
            push = client_pb2.Reply.FromString(payload[place : place + length]).push
            assert push.channel == "a"
            found.append(push.pub.data)
            payload = payload[place + length :]
    return found


def _centrifuge_commands(format: str) -> st.SearchStrategy[Payload]:
    """Return `connect`, and one more command."""
    channel = st.sampled_from(["news", "a", "日本", "with white space", "x" * 300])
    request: st.SearchStrategy[dict[str, Any]] = st.one_of(
        channel.map(lambda name: {"subscribe": {"channel": name}}),
        channel.map(lambda name: {"unsubscribe": {"channel": name}}),
        st.tuples(channel, _json).map(lambda pair: {"publish": {"channel": pair[0], "data": pair[1]}}),
    )
    write = WIRES[format].write
    return st.tuples(st.integers(1, 2**32 - 1), request).map(
        lambda pair: write([{"id": 1, "connect": {}}, {"id": pair[0], **pair[1]}])
    )


def _no_centrifuge_commands(format: str) -> st.SearchStrategy[Payload]:
    """Return what no client may say first."""
    commands: list[dict[str, Any]] = [
        {"id": 1, "subscribe": {"channel": "a"}},
        {"id": 1},
        {"connect": {}},
        {"id": 1, "send": {"data": 1}},
        {},
    ]
    first = st.sampled_from(commands).map(lambda command: WIRES[format].write([command]))
    if format == "json":
        broken: st.SearchStrategy[Payload] = st.one_of(
            _texts.filter(lambda text: not _is_object(text)),
            st.sampled_from(["[" * 5000, '{"id":1,"connect":' + "[" * 5000, '{"id":1', "\ufeff{}", "{}\n\n{}", "[]"]),
        )
    else:
        broken = st.sampled_from([b"", b"\x05\x08", b"\xff" * 20, b"\x02\x08\xff", b"\x01\x07", b"\x80"])
    return st.one_of(first, broken)


def _centrifuge(name: str, payloads: st.SearchStrategy[Payload], decode: Callable[[bytes], list[Payload]]) -> Case:
    wire = centrifuge.json_wire() if name == "json" else centrifuge.protobuf_wire()
    return Case(
        f"centrifuge-{name}",
        lambda: Centrifuge(wire, OPENING),
        payloads,
        decode,
        _centrifuge_commands(name),
        _no_centrifuge_commands(name),
        welcomes=False,
    )


CASES = (
    Case("plain", lambda: plain.Plain("a", echo=False), _payloads, _plain_payloads, _payloads, st.nothing()),
    Case(
        "sse",
        lambda: sse.ServerSentEvents("a"),
        _texts.filter(lambda text: "\0" not in text) | st.binary(max_size=200),
        lambda data: [event.payload for event in EventParser().feed(data)],
        st.nothing(),
        _payloads,
        speaks=False,
        web_socket=False,
    ),
    Case(
        "poll",
        lambda: poll.LongPolling("a"),
        _payloads,
        _poll_payloads,
        st.nothing(),
        _payloads,
        speaks=False,
        web_socket=False,
    ),
    Case(
        "multiplexed",
        lambda: multiplexed.endpoint.protocol,
        _json.map(_dumps),
        _multiplexed_payloads,
        _commands(),
        _no_commands(),
    ),
    _centrifuge("json", _json.map(_dumps), _centrifuge_json),
    _centrifuge("protobuf", st.binary(max_size=200), _centrifuge_protobuf),
)
