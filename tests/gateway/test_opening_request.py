"""What the opening handshake of a WebSocket must have, and what it must not (RFC 6455, sections 4.2.1 and 4.4)."""

from __future__ import annotations

import pytest

from relay.gateway.opening_request import MAX_ELEMENTS
from tests.conftest import EmbeddedFactory
from tests.harness.raw_websocket import TEXT, RawWebSocket, encode_frame
from tests.web.exchange import PUBLISH, everything, statuses

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
GET = "GET /ws/a HTTP/1.1"


def handshake(fields: dict[str, str | None], *more: str, line: str = GET) -> bytes:
    """Return a request.

    Args:
        fields: instead of those of a handshake that is in order; None: without that header.
        more: further header lines.
        line: the request line.
    """
    chosen = {**FIELDS, **fields}
    lines = [line, *(f"{name}: {value}" for name, value in chosen.items() if value is not None), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def test_the_answer_is_the_one_of_the_rfc(embedded: EmbeddedFactory) -> None:
    """Section 4.2.2, with the key of its example; neither an extension nor a subprotocol that nobody has offered."""
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(handshake({}))
        response = await client.response()
    del response.headers["date"]
    assert (response.status, response.headers) == (
        101,
        {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        },
    )


@pytest.mark.parametrize(
    "request_bytes",
    [
        handshake({}, line="GET http://localhost/ws/a HTTP/1.1"),
        handshake({"Host": "[::1]:8000"}),
        handshake({"Upgrade": "WebSocket", "Connection": "UPGRADE"}),
        handshake({"Connection": "keep-alive, Upgrade"}),
        handshake({"Connection": "keep-alive"}, "Connection: Upgrade"),
        handshake({"Connection": ", Upgrade,,"}),
        handshake({"Upgrade": "h2c, websocket"}),
        handshake({"Upgrade": "h2c"}, "Upgrade: websocket"),
        handshake({"Sec-WebSocket-Version": "\t13 "}),
        handshake({"Sec-WebSocket-Key": f"  {KEY}\t"}),
        handshake({}, "Content-Length: 0"),
        handshake({}, "Sec-WebSocket-Extensions: x-unknown; a=1, permessage-deflate"),
        handshake({}, "X-Unknown: \xff"),
    ],
)
async def test_whatever_is_in_order_is_accepted(embedded: EmbeddedFactory, request_bytes: bytes) -> None:
    """Lists, repeated headers, blanks and any case, as RFC 9110 has them."""
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(request_bytes)
        assert (await client.response()).status == 101


REFUSED = {
    "another method": (426, handshake({}, line="POST /ws/a HTTP/1.1")),
    "a tunnel": (405, handshake({}, line="CONNECT /ws/a HTTP/1.1")),
    "HTTP/1.0": (505, handshake({}, line="GET /ws/a HTTP/1.0")),
    "HTTP/1.2": (505, handshake({}, line="GET /ws/a HTTP/1.2")),
    "a URL of WebSockets": (400, handshake({}, line="GET ws://localhost/ws/a HTTP/1.1")),
    "no host": (400, handshake({"Host": None})),
    "two hosts": (400, handshake({}, "Host: y")),
    "no upgrade": (426, handshake({"Upgrade": None})),
    "another upgrade": (426, handshake({"Upgrade": "h2c"})),
    "an upgrade that is like it": (426, handshake({"Upgrade": "websocket2"})),
    "an upgrade with a version": (426, handshake({"Upgrade": "websocket/13"})),
    "no connection": (426, handshake({"Connection": None})),
    "another connection": (426, handshake({"Connection": "keep-alive"})),
    "a connection that is no list": (400, handshake({"Connection": "Upgrade;q=1"})),
    "no key": (400, handshake({"Sec-WebSocket-Key": None})),
    "an empty key": (400, handshake({"Sec-WebSocket-Key": ""})),
    "two keys": (400, handshake({}, f"Sec-WebSocket-Key: {KEY}")),
    "a key of 15 bytes": (400, handshake({"Sec-WebSocket-Key": "A" * 20})),
    "a key of 17 bytes": (400, handshake({"Sec-WebSocket-Key": "A" * 23 + "="})),
    "a key without its end": (400, handshake({"Sec-WebSocket-Key": "A" * 22})),
    "a key that is no base64": (400, handshake({"Sec-WebSocket-Key": "!" + KEY[1:]})),
    "a key with a blank in it": (400, handshake({"Sec-WebSocket-Key": KEY[:8] + " " + KEY[8:]})),
    "a key that is no ASCII": (400, handshake({"Sec-WebSocket-Key": "\xe9" + KEY[1:]})),
    "no version": (426, handshake({"Sec-WebSocket-Version": None})),
    "a body": (400, handshake({}, f"Content-Length: {len(PUBLISH)}")),
    "a body of no bytes, in two digits": (400, handshake({}, "Content-Length: 00")),
    "two lengths": (400, handshake({}, "Content-Length: 0", "Content-Length: 0")),
    "a length that is no number": (400, handshake({}, "Content-Length: +0")),
    "chunks": (400, handshake({}, "Transfer-Encoding: chunked")),
    "chunks and a length": (400, handshake({}, "Transfer-Encoding: chunked", "Content-Length: 0")),
    "a coding that nobody knows": (400, handshake({}, "Transfer-Encoding: identity")),
    "a coding before a colon that stands apart": (400, handshake({}, "Transfer-Encoding : chunked")),
    "a coding in a folded line": (400, handshake({}, "X: y", " Transfer-Encoding: chunked")),
    "line feeds alone": (400, handshake({}).replace(b"\r\n", b"\n")),
}
"""What is wrong → the status, and the request."""


@pytest.mark.parametrize(("status", "request_bytes"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_is_the_end_of_its_connection(
    embedded: EmbeddedFactory, status: int, request_bytes: bytes
) -> None:
    """A proxy that took the refusal for an upgrade would let whatever comes behind it through unseen."""
    (gateway,) = await embedded(1)
    for behind in (PUBLISH, encode_frame(TEXT, b"smuggled")):
        answers = await everything(gateway.port, request_bytes + behind, [len(request_bytes)], half_close=False)
        assert statuses(answers) == [status]
    assert (gateway.counters.messages_received, gateway.counters.connections_accepted) == (0, 0)


@pytest.mark.parametrize("version", [None, "", "0", "8", "14", "777", "013", "+13", "13,", "13, 8", "13\xb3"])
async def test_another_version_is_told_which_one_is_spoken_here(embedded: EmbeddedFactory, version: str | None) -> None:
    """Sections 4.2.2 and 4.4: a client may come again with this one."""
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(handshake({"Sec-WebSocket-Version": version}))
        response = await client.response()
    told = {name: response.headers.get(name) for name in ("sec-websocket-version", "upgrade", "connection")}
    assert (response.status, told) == (
        426,
        {"sec-websocket-version": "13", "upgrade": "websocket", "connection": "close, Upgrade"},
    )
    assert "Sec-WebSocket-Version must be 13" in response.text
    assert gateway.counters.connections_refused == {"upgrade_required": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connection", "keep\x85alive"),
        ("Connection", "\t, a\tb"),
        ("Sec-WebSocket-Key", "\xad" * 2000),
        ("Connection", "close"),
    ],
)
async def test_a_refusal_is_one_printable_sentence_whatever_its_header_holds(
    embedded: EmbeddedFactory, name: str, value: str
) -> None:
    """It stands in terminals and logs, so it must bring no control characters of others there, and not be long."""
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(handshake({name: value}))
        response = await client.response()
    assert response.status in (400, 426)
    assert response.text.startswith("Failed to open a WebSocket connection")
    assert response.text.removesuffix("\n").isprintable()
    assert len(response.text) < 700


async def test_a_version_that_is_said_twice_is_another_one(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        response = await client.upgrade("/ws/a", "Sec-WebSocket-Version: 8")
    assert (response.status, response.headers["sec-websocket-version"]) == (426, "13")


@pytest.mark.parametrize("name", ["Connection", "Sec-WebSocket-Protocol"])
async def test_lists_have_so_many_elements(embedded: EmbeddedFactory, name: str) -> None:
    """However they are written: thousands would take the time of hundreds of handshakes."""
    (gateway,) = await embedded(1)
    for lines, status in [
        ([", ".join("a" * (MAX_ELEMENTS - 1))], 101),
        ([", ".join("a" * (MAX_ELEMENTS + 1))], 400),
        (["a," * MAX_ELEMENTS], 400),
        (["," * MAX_ELEMENTS], 400),
        (["a," * (MAX_ELEMENTS // 2)] * 2, 400),
    ]:
        async with RawWebSocket(gateway.port) as client:
            await client.send(handshake({}, *(f"{name}: {line}" for line in lines)))
            response = await client.response()
        assert response.status == status, lines
        assert status == 101 or f"{name} has more than {MAX_ELEMENTS} elements" in response.text
