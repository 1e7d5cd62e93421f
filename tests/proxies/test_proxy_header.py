"""What a balancer writes in front of a connection."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.proxies.proxy_header import (
    BINARY_SIGNATURE,
    MAX_BINARY_BYTES,
    MAX_TEXT_BYTES,
    NO_HEADER,
    TEXT_SIGNATURE,
    ProxyHeader,
    read_proxy_header,
)
from tests.harness.proxy_headers import proxy_header

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
IPV4 = proxy_header("192.0.2.1", "192.0.2.2")
IPV6 = proxy_header("2001:db8::1", "2001:db8::2")


def binary(command: int, family: int, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a version 2 header with any values."""
    return BINARY_SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "192.0.2.1"),
    (b"PROXY TCP6 2001:DB8::1 2001:db8::2 0 65535\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (IPV4, "192.0.2.1"),
    (IPV6, "2001:db8::1"),
    (binary(0x21, 0x11, bytes([192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]) + b"\x04\x00\x00"), "192.0.2.1"),
    (binary(0x20, 0x00), None),
    (binary(0x20, 0x11, bytes(12)), None),
    (binary(0x21, 0x00, b"notes"), None),
    (binary(0x21, 0x12, bytes(12)), None),
    (binary(0x21, 0x31, bytes(216)), None),
]


@pytest.mark.parametrize(("data", "source"), GOOD)
def test_a_header_whole_and_byte_by_byte(data: bytes, source: str | None) -> None:
    assert read_proxy_header(data) == ProxyHeader(len(data), source)
    assert read_proxy_header(data + REQUEST) == ProxyHeader(len(data), source)
    assert all(read_proxy_header(data[:size]) is None for size in range(len(data)))


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 localhost 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 \xb2 2\r\n",
        b"PROXY unknown\r\n",
        TEXT_SIGNATURE + b"x" * MAX_TEXT_BYTES,
        binary(0x11, 0x11, bytes(12)),
        binary(0x22, 0x11, bytes(12)),
        binary(0x21, 0x41, bytes(12)),
        binary(0x21, 0x13, bytes(12)),
        binary(0x21, 0x11, bytes(11)),
        binary(0x21, 0x21, bytes(35)),
        binary(0x21, 0x11, length=MAX_BINARY_BYTES + 1),
    ],
)
def test_what_begins_like_one_and_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="the PROXY header is malformed") as caught:
        read_proxy_header(data)
    assert caught.value.status == 400


@pytest.mark.parametrize("data", [REQUEST, b"\r\nGET", b"\r\n\r\nG", b"P" + b"OST", b"PROXYX", b"\x16\x03\x01", b"\n"])
def test_anything_else_is_no_header(data: bytes) -> None:
    assert read_proxy_header(data) is NO_HEADER


def answer(data: bytes) -> ProxyHeader | str | None:
    """Return what is read, or that it is refused."""
    try:
        return read_proxy_header(data)
    except Refused as refused:
        return refused.reason


ANYTHING = st.binary(max_size=300)


@given(
    st.sampled_from([b"", TEXT_SIGNATURE, TEXT_SIGNATURE + b"TCP4 ", BINARY_SIGNATURE, BINARY_SIGNATURE + b"!"]),
    ANYTHING,
)
@example(BINARY_SIGNATURE, b"\x21\x11\x00\x0c" + bytes(12))
def test_anything_is_answered_and_stays_answered(beginning: bytes, rest: bytes) -> None:
    """Byte by byte, the first answer is that for the whole: more data never changes it."""
    data = beginning + rest
    whole = answer(data)
    if isinstance(whole, ProxyHeader):
        assert whole.size <= len(data)
        assert whole.source is None or ipaddress.ip_address(whole.source)
    first = next((found for size in range(len(data)) if (found := answer(data[:size])) is not None), whole)
    assert first == whole
    if whole is None:
        assert len(data) < 16 + MAX_BINARY_BYTES
