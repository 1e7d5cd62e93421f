"""What clients of the Centrifuge protocol say: commands in JSON and Protobuf, and the requests that carry them."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final
from urllib.parse import quote

from relay.protocols.centrifuge import client_pb2
from tests.fuzz.grammar.credential import HEADERS, SECRET, sign
from tests.fuzz.grammar.http import CHANNELS
from tests.fuzz.grammar.json_text import vary
from tests.fuzz.grammar.websocket import CLOSES, KEY, MASKS, frame

_TOKENS: Final = (
    "abc",
    sign(HEADERS[0], b'{"sub":"ann","exp":4102444800,"channels":{"*":"rwph"}}', secret=SECRET),
    sign(HEADERS[0], b'{"sub":"ann","exp":4102444800,"channel":"x"}', secret=SECRET),
    sign(HEADERS[0], b'{"sub":"ann","exp":1}', secret=SECRET),
)

TOKENS: Final = (
    *(b"\n", b"\n{}", b"{}", b"null", b'"id":', b'"data":', b'"channel":"x"', b'"\\ud83d"', b"\\u0000", b"\xff"),
    *(
        b'{"id":7,"subscribe":{"channel":"x"}}\n',
        b'{"id":8,"unsubscribe":{"channel":"x"}}\n',
        b"[" * 300,
        b'{"a":' * 300,
    ),
    *(
        b"9" * 400,
        b"-1",
        b"1e999",
        b"\x00",
        b"\x0a",
        b"\x80\x80\x80\x80\x80",
        b"\xff\xff\xff\xff\x0f",
        b"\x22\x02\x0a\x00",
    ),
)
"""What mutations put in."""

PUBLICATIONS: Final[tuple[Any, ...]] = (1, "\u20ac", {"a": [None, 1.5e3]}, [], "x" * 900)


def command(random: Random, number: int) -> dict[str, Any]:
    """Return a command that is valid, or nearly."""
    channel = {"channel": random.choice((*CHANNELS, *CHANNELS, "new", "", " ", "\u20ac", "relay:x", "y" * 300))}
    since = random.choice(
        ({}, {"since": {"offset": random.choice((0, 1, 2**63 - 1)), "epoch": random.choice(("", "a"))}})
    )
    recovering = {"recover": True, "offset": random.choice((0, 3)), "epoch": random.choice(("", "a"))}
    kinds: dict[str, dict[str, Any]] = {
        "subscribe": {
            **channel,
            **random.choice(({}, {}, recovering, {"token": random.choice(_TOKENS)}, {"delta": "fossil"})),
        },
        "unsubscribe": channel,
        "publish": {**channel, "data": random.choice(PUBLICATIONS)},
        "presence": channel,
        "presence_stats": channel,
        "history": {**channel, **since, "limit": random.choice((-1, 0, 1, 10)), "reverse": random.random() < 0.3},
        "rpc": {"method": random.choice(("", "ask")), "data": {"a": 1}},
        "refresh": {"token": random.choice(_TOKENS)},
        "sub_refresh": {**channel, "token": random.choice(_TOKENS)},
        "send": {"data": 1},
        "connect": {"token": _TOKENS[1]},
    }
    (kind,) = random.choices(list(kinds), (30, 20, 30, 5, 5, 10, 5, 3, 5, 1, 1))
    return {} if random.random() < 0.02 else {"id": number, kind: kinds[kind]}


def connect(random: Random) -> dict[str, Any]:
    """Return the first command of a client."""
    subs = random.choice(({}, {}, {"subs": {"x": {}, "new": {"recover": True, "epoch": "a", "offset": 1}}}))
    return {
        "id": 1,
        "connect": {"token": random.choice(_TOKENS), "headers": {"X-Tenant": "a"}, **subs}
        if random.random() < 0.3
        else subs,
    }


def commands(random: Random) -> list[dict[str, Any]]:
    """Return what a client says in one message, or with its request."""
    count = random.choice((0, 1, 1, 2, 3, 10, 40))
    return [connect(random), *(command(random, number + 2) for number in range(count))]


def as_json(said: list[dict[str, Any]]) -> bytes:
    """Return commands as one message in JSON."""
    return b"\n".join(json.dumps(one, ensure_ascii=False).encode() for one in said)


def as_protobuf(said: list[dict[str, Any]]) -> bytes:
    """Return commands as one message in Protobuf."""
    parts = [_protobuf(one).SerializeToString() for one in said]
    return b"".join(_varint(len(part)) + part for part in parts)


def json_message(random: Random) -> bytes:
    """Return commands in JSON, some with another value in one place or a few."""
    said = commands(random)
    if random.random() < 0.3:
        return b"\n".join(vary(json.dumps(one).encode(), random) for one in said)
    return as_json(said)


def protobuf_message(random: Random) -> bytes:
    """Return commands in Protobuf."""
    return as_protobuf(commands(random))


def _protobuf(said: dict[str, Any]) -> client_pb2.Command:
    made = client_pb2.Command()
    for kind, request in said.items():
        if kind == "id":
            made.id = request
        else:
            target = getattr(made, kind)
            target.SetInParent()
            _fill(target, request)
    return made


def _fill(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name == "data":
            target.data = json.dumps(value).encode()
        elif name == "headers":
            target.headers.update(value)
        elif name == "subs":
            for channel, one in value.items():
                _fill(target.subs[channel], one)
        elif isinstance(value, dict):
            _fill(getattr(target, name), value)
        else:
            setattr(target, name, value)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def frames(random: Random) -> bytes:
    """Return the handshake of a client, and the frames behind it, masked so that their tokens can be read."""
    protobuf = random.random() < 0.4
    query = (
        random.choice(("?cf_protocol=protobuf", "?format=protobuf")) if protobuf else random.choice(("", "", "?a=b"))
    )
    path = "/connection/websocket" if random.random() < 0.9 else "/connection/uni_websocket"
    said = commands(random)
    cuts = sorted(random.sample(range(1, len(said) + 1), random.randrange(min(4, len(said)) + 1)))
    messages = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True) if end > start]
    write = as_protobuf if protobuf else as_json
    made = [frame(2 if protobuf else 1, write(message), mask=MASKS[0]) for message in messages]
    if random.random() < 0.3:
        made.insert(random.randrange(1, len(made) + 1), frame(random.choice((1, 2, 9)), random.choice(TOKENS)[:125]))
    if random.random() < 0.5:
        made.append(frame(8, random.choice(CLOSES)))
    return _upgrade(path + query) + b"".join(made)


def _upgrade(target: str) -> bytes:
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{head}Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()


def streams(random: Random) -> bytes:
    """Return the request of a client that hears over a response, or one by which such a client speaks."""
    kind = random.choice(("sse", "http_stream", "uni_sse", "uni_http_stream", "emulation"))
    said = json.dumps(connect(random)["connect"]).encode() if kind.startswith("uni") else json_message(random)
    if kind.endswith("sse"):
        query = ("" if kind == "sse" else "connect=") or "cf_connect="
        return f"GET /connection/{kind}?{query}{quote(said)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    path = "/emulation" if kind == "emulation" else f"/connection/{kind}"
    if kind == "emulation":
        named = {"session": "x" * 22, "node": "0123456789abcdef", "data": said.decode(errors="replace")}
        said = json.dumps(named).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
    return head.encode() + said
