"""The first message of TLS clients: when it is whole, and what is refused before OpenSSL sees it."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.tls.client_hello import MAX_BYTES, MAX_RECORDS, ClientHello, HelloError, read_client_hello
from tests.harness.tls13_client import HANDSHAKE, X25519, client_hello, record

FFDHE_2048, FFDHE_8192 = 0x0100, 0x0104
P_256, HYBRID, UNKNOWN = 0x17, 0x11EC, 0x0A0A


def of_openssl(**options: ssl.TLSVersion) -> bytes:
    """Return what a client of the standard library sends first."""
    context = ssl.create_default_context()
    for name, value in options.items():
        setattr(context, name, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="relay.example")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(message: bytes, size: int) -> bytes:
    """Return a message in records of so many bytes."""
    return b"".join(record(HANDSHAKE, message[at : at + size]) for at in range(0, len(message), size))


def test_what_a_library_sends() -> None:
    hello = read_client_hello(of_openssl())
    assert hello is not None
    assert X25519 in hello.groups
    assert hello.shares
    assert not hello.dear
    old = read_client_hello(of_openssl(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert old is not None
    assert old.shares == ()
    assert not old.dear


def test_it_is_whole_with_its_last_byte() -> None:
    for sent in (of_openssl(), in_records(client_hello(b"k" * 32), 30)):
        for size in range(len(sent)):
            assert read_client_hello(sent[:size]) is None
        assert read_client_hello(sent) is not None
        assert read_client_hello(sent + b"more") is not None


def test_the_number_of_its_records_is_bounded() -> None:
    """Each look at it begins at the front."""
    message = client_hello(b"k" * 32)
    allowed = -(-len(message) // MAX_RECORDS)
    assert read_client_hello(in_records(message, allowed)) is not None
    with pytest.raises(HelloError):
        read_client_hello(in_records(message, allowed - 1))
    with pytest.raises(HelloError):
        read_client_hello(in_records(message, 1)[: 6 * (MAX_RECORDS + 1)])


def test_its_size_is_bounded_before_it_has_come() -> None:
    """OpenSSL would take 128 KB for it."""
    assert read_client_hello(in_records(client_hello(padding=MAX_BYTES - 200), MAX_BYTES)) is not None
    for size in (MAX_BYTES + 1, 131_000, 0xFFFFFF):
        with pytest.raises(HelloError):
            read_client_hello(record(HANDSHAKE, b"\x01" + size.to_bytes(3)))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x02\x01\x00\x05",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        record(HANDSHAKE, b"\x02\x00\x00\x01x"),
        record(HANDSHAKE, b"\x01\x00\x00\x01x"),
        record(HANDSHAKE, b"\x01\x00\x00\x28" + bytes(38) + b"\xff\xff"),
        record(HANDSHAKE, client_hello(b"k" * 32)[:10]) + record(23, b"x"),
    ],
)
def test_what_is_no_client_hello_is_refused(sent: bytes) -> None:
    with pytest.raises(HelloError):
        read_client_hello(sent)


@pytest.mark.parametrize(
    ("groups", "shares", "dear"),
    [
        ((X25519, FFDHE_8192), (X25519,), False),
        ((FFDHE_8192, X25519), (X25519, FFDHE_8192), False),
        ((X25519, FFDHE_8192), (FFDHE_8192,), True),
        ((X25519, FFDHE_8192), (UNKNOWN, FFDHE_8192, X25519), True),
        ((FFDHE_2048,), (FFDHE_2048,), True),
        # Without a key, the server asks for one: of a curve if there is any.
        ((FFDHE_8192, P_256), (), False),
        ((FFDHE_8192, HYBRID), (UNKNOWN,), False),
        ((FFDHE_8192,), (), True),
        ((), (), False),
        ((UNKNOWN,), (UNKNOWN,), False),
    ],
)
def test_keys_that_cost_the_server_much_are_told(groups: tuple[int, ...], shares: tuple[int, ...], dear: bool) -> None:
    assert ClientHello(groups, shares).dear is dear
    hello = read_client_hello(record(HANDSHAKE, client_hello(b"k", groups=groups, shares=shares)))
    assert hello == (groups, shares)


@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    """And a change of one byte as well, wherever it is."""
    sent = bytearray(of_openssl())
    for _ in range(data.draw(st.integers(0, 3))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    with suppress(HelloError):
        read_client_hello(bytes(sent))
    with suppress(HelloError):
        read_client_hello(data.draw(st.binary(max_size=64)))
