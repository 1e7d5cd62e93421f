"""The body of a request, however its bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from relay.errors import Refused
from relay.protocols.http_body import MAX_LINE_BYTES, MAX_TRAILER_BYTES, STEPS_PER_TURN, ChunkedBody, body_of


def decode(chunked: bytes) -> bytes:
    """Return the content of chunks that have neither notes nor trailers."""
    content = b""
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        length = int(size, 16)
        content += rest[:length]
        assert rest[length : length + 2] == b"\r\n"
        chunked = rest[length + 2 :]
    return content


def read(length: int | None, data: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool] | str:
    """Return body, rest and whether it was complete; or why it was refused."""
    body, buffer, taken = body_of(length), bytearray(), b""
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            buffer += data[start:end]
            while not body.complete:
                before = len(buffer)
                taken += body.take(buffer)
                if len(buffer) == before:
                    break
    except Refused as refused:
        return refused.reason
    return (decode(taken) if length is None else taken), bytes(buffer), body.complete


@pytest.mark.parametrize(
    ("length", "data", "found"),
    [
        (0, b"next", (b"", b"next", True)),
        (3, b"abcnext", (b"abc", b"next", True)),
        (3, b"ab", (b"ab", b"", False)),
        (None, b"3\r\nabc\r\n0\r\n\r\nnext", (b"abc", b"next", True)),
        (None, b'3;note="x"\r\nabc\r\n00A ; y\r\n0123456789\r\n0\r\n\r\n', (b"abc0123456789", b"", True)),
        (None, b"0\r\n\r\n", (b"", b"", True)),
        (None, b"0\r\nTrailer: x\r\nOther:\r\n\r\nnext", (b"", b"next", True)),
        (None, b"5\r\nab", (b"ab", b"", False)),
        (None, b"1\r\n\n\r\n0\r\n\r\n", (b"\n", b"", True)),
    ],
)
def test_bodies(length: int | None, data: bytes, found: tuple[bytes, bytes, bool]) -> None:
    assert read(length, data, []) == found
    assert read(length, data, list(range(1, len(data)))) == found


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1 1\r\n",
        b"+1\r\na\r\n",
        b"1\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"1;" + b"x" * MAX_LINE_BYTES + b"\r\n",
        b"1;\0\r\n",
        b"0\r\nno header\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\na: b\n\r\n",
        b"0\r\n" + b"a: b\r\n" * MAX_TRAILER_BYTES,
    ],
)
def test_broken_chunks_are_refused(data: bytes) -> None:
    for cuts in ([], list(range(1, min(len(data), 2000)))):
        reason = read(None, data, cuts)
        assert isinstance(reason, str)
        assert "broken" in reason


CHUNKS = [b"1\r\na\r\n", b"0\r\n", b"\r\n", b"5;x\r\n", b"abc", b"\n", b"a: b\r\n", b"F\r\n", b"x" * 15, b"\0"]


@given(strategies.lists(strategies.sampled_from(CHUNKS), max_size=10).map(b"".join), strategies.data())
def test_it_is_the_same_however_the_bytes_come(data: bytes, draw: strategies.DataObject) -> None:
    cuts = sorted(draw.draw(strategies.lists(strategies.integers(0, len(data)), max_size=8)))
    assert read(None, data, cuts) == read(None, data, [])


def test_a_turn_has_so_many_chunks() -> None:
    """A read of 256 KiB can hold 40,000 chunks; others have to have their turn meanwhile."""
    body, buffer = ChunkedBody(), bytearray(b"1\r\na\r\n" * STEPS_PER_TURN)
    taken = decode(body.take(buffer))
    assert 0 < len(taken) < STEPS_PER_TURN
    assert buffer
