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
from relay.protocols.centrifuge import framings
from relay.protocols.centrifuge.connection import Centrifuge
from relay.protocols.centrifuge.streamed import Streamed, Unidirectional
from relay.protocols.centrifuge.wire import Wire
from relay.protocols.request import ConnectRequest
from tests.centrifuge.oracle.wire import WIRES
from tests.harness.event_source import EventParser
from tests.harness.poll_client import messages_of
from tests.harness.raw_websocket import TEXT
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


def _of_frames(data: bytes) -> bytes:
    """Return the payloads of frames, each on a line."""
    return b"".join(payload + b"\n" for opcode, payload in frames_of(data) if opcode == TEXT)


def _of_events(data: bytes) -> bytes:
    """Return the data of events, each on a line."""
    return b"".join(event.data.encode() + b"\n" for event in EventParser().feed(data))


def _json_pushes(lines: bytes) -> list[Payload]:
    """Return the data of publications, each on a line: to clients that only listen they come without a reply around."""
    found: list[Payload] = []
    for line in lines.splitlines():
        said = json.loads(line)
        push = said.get("push", said)
        if "pub" in push:  # else a ping
            assert push["channel"] == "a"
            found.append(_dumps(push["pub"]["data"]))
    return found


def _protobuf_pushes(data: bytes) -> list[Payload]:
    """Return the data of publications, each behind its length."""
    found: list[Payload] = []
    while data:
        length, place = read_length(data, 0)
        push = client_pb2.Reply.FromString(data[place : place + length]).push
        if push.HasField("pub"):
            assert push.channel == "a"
            found.append(push.pub.data)
        data = data[place + length :]
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


def _centrifuge(
    transport: str, wire: Wire, format: str, decode: Callable[[bytes], list[Payload]], web_socket: bool = False
) -> Case:
    """Return the case of clients of the Centrifuge protocol which connect in one of its ways."""

    def make() -> ClientProtocol:
        if transport == "websocket":
            return Centrifuge(wire, OPENING)
        return (Unidirectional if transport.startswith("uni_") else Streamed)(wire, OPENING, transport, b"")

    speaks = not transport.startswith("uni_")
    return Case(
        f"centrifuge-{transport}-{format}",
        make,
        _json.map(_dumps) if format == "json" else st.binary(max_size=200),
        decode,
        _centrifuge_commands(format) if speaks else st.nothing(),
        _no_centrifuge_commands(format) if speaks else _no_connect,
        speaks,
        web_socket,
        welcomes=False,
    )


_no_connect: st.SearchStrategy[Payload] = st.one_of(
    _texts.filter(lambda text: text.strip() != "null" and not _is_object(text)),
    st.sampled_from(["[]", '{"token":1}', '{"subs":{"a":1}}', "[" * 5000]),
)
"""What a client may not say that says one thing."""


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
    _centrifuge("websocket", centrifuge.json_wire(), "json", lambda data: _json_pushes(_of_frames(data)), True),
    _centrifuge(
        "websocket",
        centrifuge.protobuf_wire(),
        "protobuf",
        lambda data: _protobuf_pushes(b"".join(payload for _, payload in frames_of(data))),
        True,
    ),
    _centrifuge("http_stream", framings.json_lines(), "json", _json_pushes),
    _centrifuge("http_stream", framings.protobuf_stream(), "protobuf", _protobuf_pushes),
    _centrifuge("sse", framings.json_events(), "json", lambda data: _json_pushes(_of_events(data))),
    _centrifuge(
        "uni_websocket", framings.unidirectional_frames(), "json", lambda data: _json_pushes(_of_frames(data)), True
    ),
    _centrifuge("uni_http_stream", framings.unidirectional_lines(), "json", _json_pushes),
    _centrifuge("uni_sse", framings.unidirectional_events(), "json", lambda data: _json_pushes(_of_events(data))),
)
