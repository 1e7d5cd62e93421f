"""The short way in of the usual request agrees with the library, whatever a client sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import Gateway, Settings
from relay.errors import Refused
from relay.gateway.opening_request import OpeningRequest, OpeningRequests
from relay.gateway.proxy_phase import ProxyPhase
from relay.protocols.http_request import find_head, read_head
from relay.protocols.usual_upgrade import USUAL, UsualHeaders, read_usual_upgrade
from relay.proxies.forwarded import TrustedProxies
from tests.fuzz.memory_transport import MemoryTransport
from tests.fuzz.virtual_clock import VirtualClockLoop
from tests.harness.inside import parts_of

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MAX_BYTES, MAX_HEADERS = 700, 14
PROXY = "10.0.0.1"

BARE = {
    "Host": ["relay.example.com"],
    "Upgrade": ["websocket"],
    "Connection": ["Upgrade"],
    "Sec-WebSocket-Key": [KEY],
    "Sec-WebSocket-Version": ["13"],
}
CHROME = {
    **BARE,
    "Host": ["relay.example.com:8000", "localhost", "[::1]:80", "127.0.0.1:8000"],
    "Pragma": ["no-cache"],
    "Cache-Control": ["no-cache"],
    "User-Agent": ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"],
    "Origin": ["https://app.example.com", "https://relay.example.com", "null"],
    "Accept-Encoding": ["gzip, deflate, br, zstd"],
    "Cookie": ["session=0123456789abcdef; theme=dark"],
    "Sec-WebSocket-Protocol": ["relay", "bearer.a.b.c, relay", "centrifuge-protobuf", "a,b", "centrifuge-json,a"],
    "Sec-WebSocket-Extensions": ["permessage-deflate; client_max_window_bits"],
}
FIREFOX = {**CHROME, "Connection": ["keep-alive, Upgrade"], "Sec-Fetch-Site": ["same-origin"]}
BEHIND_A_PROXY = {
    **BARE,
    "X-Forwarded-For": ["203.0.113.7", "203.0.113.7, 10.0.0.1", "unknown"],
    "Forwarded": ["for=203.0.113.7", "for=_hidden"],
    "Authorization": ["Bearer a.b.c"],
}
CLIENTS = (BARE, CHROME, FIREFOX, BEHIND_A_PROXY)

ODD_FIELDS = st.one_of(
    st.sampled_from(
        [
            "Content-Length: 0",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Expect: more",
            "Upgrade: h2c",
            "upgrade: websocket",
            "HTTP2-Settings: x",
            "Connection: keep-alive",
            "Connection: Upgrade, HTTP2-Settings",
            "Sec-WebSocket-Version: 8",
            "Sec-WebSocket-Key: short",
            "Sec-WebSocket-Protocol:",
            "Sec-WebSocket-Protocol: a b",
            "Sec-WebSocket-Protocol: bearer.a, bearer.b, c",
            "Sec-WebSocket-Protocol: " + ", ".join("abcdefghij"),
            "Host: elsewhere.example.com",
            "Host: ",
            "Host: a@b",
            "Origin: https://evil.example.com",
            "X: \xe9",
            "X : y",
            "X: a\tb",
            " folded",
            "no colon",
            "X-Long: " + "x" * 400,
            "X-List: " + "," * 70,
        ]
    ),
    st.builds(lambda name, value: f"{name}: {value}", st.sampled_from(sorted(USUAL)), st.text(max_size=20)),
    st.text(max_size=20),
)
TARGETS = st.sampled_from(
    [
        "/",
        "/ws",
        "/ws/a",
        "/ws/chat:1?echo=1&history=2",
        "/ws/%C3%A9?token=abc",
        "/ws/%",
        "/connection/websocket",
        "/connection/websocket?format=protobuf",
        "/connection/uni_websocket",
        "/nothing",
        "//a",
        "/ws/a?echo=2",
        "/ws/a?token=a&token=b",
        "/ws/a#b",
        "*",
        "http://relay.example.com/ws/a",
    ]
)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"allowed_hosts": ("relay.example.com",)},
    {"allowed_origins": ("https://app.example.com",)},
    {"subprotocols": ("relay",)},
    {"trusted_proxies": ("10.0.0.0/8",)},
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request: usual, or with something odd in it."""
    chosen = draw(st.sampled_from(CLIENTS))
    fields = [f"{name}: {draw(st.sampled_from(values))}" for name, values in chosen.items()]
    for field in draw(st.lists(ODD_FIELDS, max_size=2)):
        fields.insert(draw(st.integers(0, len(fields))), field)
    for _ in range(draw(st.integers(0, 3)) // 3):
        fields.pop(draw(st.integers(0, len(fields) - 1)))
    line = f"{draw(st.sampled_from(['GET', 'GET', 'GET', 'POST']))} {draw(TARGETS)} HTTP/1.{draw(st.integers(1, 1))}"
    text = "\r\n".join([line, *fields, "", ""])
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.text(max_size=2)) + text[place + draw(st.integers(0, 2)) :]
    return text.encode("latin-1", errors="replace")


class Counted:
    """The addresses that were counted."""

    def __init__(self) -> None:
        self.addresses: list[str] = []


Answer = tuple[object, ...]


def openings(settings: dict[str, Any], counted: Counted) -> OpeningRequests:
    """Return what reads the requests of a gateway."""
    made = Settings(**settings)
    return OpeningRequests(made, TrustedProxies(made.trusted_proxies or ()), "none", counted.addresses.append)


def shown(opening: OpeningRequest) -> Answer:
    """Return what an opening request says, in a form that can be compared."""
    asked, protocol = opening.request, opening.protocol
    response = re.sub(rb"Date: [^\r]*", b"Date: now", opening.response)
    request = (asked.path, dict(asked.query), dict(asked.headers), asked.remote, asked.bearer, asked.certificate_user)
    spoken = (type(protocol), protocol.channel, protocol.echo, protocol.resume, protocol.encode)
    return (101, request, spoken, response, dict(opening.headers), opening.client_class)


def judged_by_the_library(data: bytes, settings: dict[str, Any]) -> tuple[Answer, list[str]]:
    """Return what becomes of a request that goes through the library, and which addresses were counted."""
    counted = Counted()
    buffer = bytearray(data)
    try:
        size = find_head(buffer, MAX_BYTES)
        if size != len(data):
            return ("not a request alone",), []
        head = read_head(data, MAX_HEADERS)
        if not head.websocket:
            return ("no websocket",), []
        return shown(openings(settings, counted).read_upgrade(head.raw, PROXY, "carol")), counted.addresses
    except Refused as refused:
        return (refused.status, refused.reason, refused.headers), counted.addresses


@given(requests(), st.sampled_from(SETTINGS))
def test_it_reads_what_the_library_reads(data: bytes, settings: dict[str, Any]) -> None:
    usual = read_usual_upgrade(data, MAX_BYTES, MAX_HEADERS)
    if usual is None:
        return
    counted = Counted()
    answer: Answer
    try:
        answer = shown(openings(settings, counted).read_usual_upgrade(usual, data, PROXY, "carol"))
    except Refused as refused:
        answer = (refused.status, refused.reason, refused.headers)
    assert (answer, counted.addresses) == judged_by_the_library(data, settings)


@given(st.sampled_from(CLIENTS), st.data())
def test_the_requests_of_browsers_and_libraries_are_usual(client: dict[str, list[str]], data: st.DataObject) -> None:
    fields = [f"{name}: {data.draw(st.sampled_from(values))}" for name, values in client.items()]
    request = "\r\n".join(["GET /ws/a HTTP/1.1", *fields, "", ""]).encode()
    assert read_usual_upgrade(request, MAX_BYTES, MAX_HEADERS) is not None


def usual(*more: str, lines: int = 0) -> bytes:
    """Return the request of a program."""
    fields = [f"{name}: {values[0]}" for name, values in BARE.items()]
    fields += [*more, *(f"X-{number}: y" for number in range(lines))]
    return "\r\n".join(["GET /ws/a HTTP/1.1", *fields, "", ""]).encode("latin-1")


def test_the_limits_of_heads_are_those_of_all_requests() -> None:
    bare = len(usual()) - 4
    assert read_usual_upgrade(usual(), bare, 5) is not None
    assert read_usual_upgrade(usual(), bare - 1, 5) is None
    assert read_usual_upgrade(usual(), bare, 4) is None


def test_what_is_too_long_is_not_read_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matching 256 KB takes milliseconds, in which the gateway does nothing else."""
    with monkeypatch.context() as patch:
        for name in ("REQUEST_LINE", "FIELDS"):
            patch.setattr(f"relay.protocols.usual_upgrade.{name}", None)
        assert read_usual_upgrade(usual(lines=50_000), MAX_BYTES, 60_000) is None


@pytest.mark.parametrize("behind", [b"", b"x", b"GET / HTTP/1.1\r\n\r\n"])
def test_only_a_whole_request_that_comes_alone_is_usual(behind: bytes) -> None:
    whole = usual()
    assert (read_usual_upgrade(whole + behind, MAX_BYTES, MAX_HEADERS) is None) is bool(behind)
    assert all(read_usual_upgrade(whole[:size], MAX_BYTES, MAX_HEADERS) is None for size in range(len(whole)))


def test_headers_are_looked_up_in_any_case() -> None:
    headers = UsualHeaders({"host": "a", "x-token": "b"})
    assert (headers["HOST"], headers.get("X-Token"), headers.get("none"), headers.get("none", "c")) == (
        "a",
        "b",
        None,
        "c",
    )
    assert "X-TOKEN" in headers
    assert "none" not in headers
    assert not any(key in headers for key in (1, None, b"host"))  # type: ignore[comparison-overlap]
    with pytest.raises(KeyError):
        headers["none"]
    assert list(headers) == ["host", "x-token"]


@pytest.fixture(scope="module")
def play() -> Iterator[Callable[[Sequence[bytes]], bytes]]:
    """Return what sends pieces of a request to a gateway, and returns its answer, without its date."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        gateway = Gateway(Settings(port=0, drain_seconds=0, allowed_hosts=("*",), max_new_connections_per_second=0))
        runner.run(gateway.start())
        front_door = parts_of(gateway).front_door

        async def answer(pieces: Sequence[bytes]) -> bytes:
            transport = MemoryTransport(asyncio.get_running_loop(), ProxyPhase(front_door, "127.0.0.1"))
            for piece in pieces:
                transport.send(piece)
                await asyncio.sleep(0.01)  # by a virtual clock, as below: no time passes, but all is done that is due
            await asyncio.sleep(0.1)  # longer than any answer of a poll waits
            transport.reset()
            await asyncio.sleep(0.01)  # virtual
            return re.sub(rb"Date: [^\r]*", b"", bytes(transport.written))

        yield lambda pieces: runner.run(answer(pieces))
        runner.run(gateway.drain())


@given(requests(), st.lists(st.integers(0, 1000), max_size=3))
def test_a_request_in_pieces_is_answered_like_one_that_comes_whole(
    play: Callable[[Sequence[bytes]], bytes], request: bytes, cuts: list[int]
) -> None:
    """Whole it takes the short way, and in pieces the library's."""
    places = [0, *sorted(cut % (len(request) + 1) for cut in cuts), len(request)]
    assert play([request[begin:end] for begin, end in pairwise(places)]) == play([request])


def test_a_request_in_single_bytes_is_answered_like_one_that_comes_whole(
    play: Callable[[Sequence[bytes]], bytes],
) -> None:
    request = usual("Sec-WebSocket-Protocol: relay")
    answer = play([request])
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert play([request[place : place + 1] for place in range(len(request))]) == answer
