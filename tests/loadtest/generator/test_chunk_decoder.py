"""However bytes are cut into chunks, the same is read; what isn't as it should be is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator import chunk_decoder as module
from relay.loadtest.generator.chunk import Close, Event, FaultyFrame, Ping, ProtocolViolation
from relay.loadtest.generator.chunk_decoder import ChunkDecoder, excerpt
from relay.loadtest.generator.frame_codec import MAX_FRAME_BYTES
from relay.loadtest.generator.payload import MessageHeader, encode_payload, filler
from relay.loadtest.plan.plan import Dialect
from relay.loadtest.result.faults import Fault
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame

RUN = 0xABCDEF
SIZE = 60
CHANNELS = {0: 0, 1: 1, 2: 0}
"""Publisher → channel."""

frame = partial(encode_frame, masked=False)


def payload(
    sequence: int, publisher: int = 0, *, run: int = RUN, channel: int | None = None, size: int = SIZE
) -> bytes:
    """Return a message, due at its sequence number times 10, with a lag of 3."""
    where = CHANNELS[publisher] if channel is None else channel
    return encode_payload(MessageHeader(run, publisher, where, sequence, 10 * sequence, 3), filler(size))


def message(sequence: int, publisher: int = 0, opcode: int = TEXT) -> bytes:
    """Return the frame of a message."""
    return frame(opcode, payload(sequence, publisher))


def decoder(**dialect: object) -> ChunkDecoder:
    """Return a decoder for a type of server."""
    return ChunkDecoder(RUN, SIZE, CHANNELS, Dialect(**dialect))  # type: ignore[arg-type]


@dataclass
class DecodedStream:
    """What a client makes of a stream, chunk by chunk."""

    messages: dict[int, list[int]] = field(default_factory=dict)
    dues: list[int] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rest: bytes = b""

    @property
    def failed(self) -> bool:
        """Whether the stream can't be read further."""
        return bool(self.events) and isinstance(self.events[-1], ProtocolViolation)


def feed(decoder: ChunkDecoder, chunks: Iterable[bytes]) -> DecodedStream:
    """Return what a client hears that gets these chunks."""
    stream = DecodedStream()
    for chunk in chunks:
        data = stream.rest + chunk
        decoded = decoder.remembered.get(data) or decoder.decode(data)
        for publisher, first, last in decoded.runs:
            stream.messages.setdefault(publisher, []).extend(range(first, last + 1))
        stream.dues += decoded.dues
        stream.lags += decoded.lags
        stream.events += decoded.events
        stream.rest = decoded.rest
        if stream.failed:
            stream.rest = b""
            break
    return stream


def reset(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Return a stream in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(ends)]


def fragmented(content: bytes, places: Sequence[int], between: bytes, opcode: int) -> bytes:
    """Return a message in fragments, with other frames between them."""
    pieces = reset(content, places) or [b""]
    last = len(pieces) - 1
    return between.join(
        frame(CONTINUATION if number else opcode, piece, fin=number == last) for number, piece in enumerate(pieces)
    )


_controls = st.one_of(
    st.binary(max_size=125).map(lambda content: frame(PING, content)),
    st.binary(max_size=125).map(lambda content: frame(PONG, content)),
)
_contents = st.one_of(
    st.builds(payload, st.integers(0, 9), st.integers(0, 2)),
    st.binary(max_size=100),
    st.sampled_from((125, 126, 127, 65535, 65536, 70000)).map(lambda size: b"x" * size),
)
_opcodes = st.sampled_from((TEXT, BINARY))
_pieces = st.one_of(
    _controls,
    st.builds(frame, _opcodes, _contents),
    st.builds(fragmented, _contents, st.lists(st.integers(0, 100), max_size=3), st.just(b"") | _controls, _opcodes),
)
_ends = st.sampled_from(
    (
        b"",
        frame(CLOSE, b""),
        frame(CLOSE, b"\x03\xe9bye"),
        frame(TEXT, b"x" * 99)[:-1],
        frame(TEXT, b"", reserved=4),
        encode_frame(TEXT, b"masked"),
        frame(CONTINUATION, b"of nothing"),
    )
)


@given(st.lists(_pieces, max_size=6), _ends, st.lists(st.integers(0, 200_000), max_size=6))
def test_a_stream_says_the_same_whole_and_in_pieces(pieces: list[bytes], end: bytes, places: list[int]) -> None:
    data = b"".join(pieces) + end
    assert feed(decoder(), reset(data, places)) == feed(decoder(), [data])


def rich_stream() -> bytes:
    """Return frames of all kinds."""
    return b"".join(
        (
            message(0),
            message(0, 1, BINARY),
            frame(PING, b"are you there?"),
            message(1),
            fragmented(payload(2), [7, 50], frame(PING, b"between") + frame(PONG), TEXT),
            frame(TEXT, b"what is this?"),
            frame(TEXT, b""),
            frame(TEXT, payload(3)[:-1] + b"!"),
            message(5),
            message(4),
            fragmented(b"y" * 200, [0, 126], b"", BINARY),
            message(5),
            frame(CLOSE, b"\x03\xe8done"),
        )
    )


def check_rich_stream(stream: DecodedStream) -> None:
    """Check what that stream says."""
    assert stream.messages == {0: [0, 1, 2, 5, 4, 5], 1: [0]}
    assert stream.dues == [0, 0, 10, 20, 50, 40, 50]
    assert stream.lags == [3] * 7
    assert stream.events == [
        Ping(b"are you there?"),
        Ping(b"between"),
        Ping(b"between"),
        FaultyFrame(Fault.UNEXPECTED, "what is this?"),
        FaultyFrame(Fault.UNEXPECTED, ""),
        FaultyFrame(Fault.FOREIGN, f"damaged: {payload(3)[:48].decode()}"),
        FaultyFrame(Fault.UNEXPECTED, "y" * 80 + "..."),
        Close(1000, "done"),
    ]
    assert stream.rest == b""


def test_a_stream_says_the_same_wherever_it_is_cut_in_two() -> None:
    data = rich_stream()
    shared = decoder()
    for place in range(len(data) + 1):
        check_rich_stream(feed(shared, reset(data, [place])))


def test_a_stream_says_the_same_byte_by_byte() -> None:
    check_rich_stream(feed(decoder(), reset(rich_stream(), range(10_000))))


def test_runs_end_exactly_where_messages_do_not_follow_each_other() -> None:
    stream = [(0, 0), (0, 1), (1, 7), (0, 2), (1, 8), (0, 4), (0, 5), (1, 9), (0, 5), (0, 3)]
    decode = decoder().decode(b"".join(message(sequence, publisher) for publisher, sequence in stream))
    assert sorted(decode.runs) == [(0, 0, 2), (0, 3, 3), (0, 4, 5), (0, 5, 5), (1, 7, 9)]
    assert [run for run in decode.runs if run[0] == 0] == [(0, 0, 2), (0, 4, 5), (0, 5, 5), (0, 3, 3)]
    assert decode.dues == [10 * sequence for _, sequence in stream]


def test_messages_before_the_end_of_a_broken_stream_count() -> None:
    decode = decoder().decode(message(0) + message(1) + frame(TEXT, b"", reserved=1))
    assert decode.runs == [(0, 0, 1)]
    assert decode.dues == [0, 10]
    (event,) = decode.events
    assert isinstance(event, ProtocolViolation)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_frame(TEXT, b"masked"), "masked frame from a server"),
        (bytes([0x82, 127]) + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"), f"frame of {MAX_FRAME_BYTES + 1} bytes"),
        (frame(TEXT, b"x", reserved=4), "frame with reserved bits (first byte 0xc1)"),
        (frame(PING, b"x", reserved=1), "frame with reserved bits (first byte 0x99)"),
        (frame(3, b"x"), "frame out of order (first byte 0x83)"),
        (frame(11, b"x"), "bad control frame (first byte 0x8b)"),
        (frame(PING, b"x", fin=False), "bad control frame (first byte 0x09)"),
        (frame(PING, b"x" * 126), "bad control frame (first byte 0x89)"),
        (frame(CONTINUATION, b"x"), "frame out of order (first byte 0x80)"),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), "frame out of order (first byte 0x81)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # masks are random
)
def test_what_no_server_may_send_breaks_the_stream(data: bytes, reason: str) -> None:
    assert decoder().decode(data).events == [ProtocolViolation(reason)]


def test_an_endless_message_in_fragments_breaks_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FRAME_BYTES", 1000)
    endless = frame(TEXT, b"x" * 300, fin=False) + frame(CONTINUATION, b"x" * 300, fin=False) * 3
    stream = feed(decoder(), reset(endless, range(0, 2000, 100)))
    assert stream.events == [ProtocolViolation("message of more than 1000 bytes in fragments")]


@pytest.mark.parametrize(
    ("content", "event"),
    [(b"", Close(1005, "")), (b"\x03\xe9", Close(1001, "")), (b"\x03\xf3no\xff", Close(1011, "no\ufffd"))],
)
def test_a_close_frame_says_why(content: bytes, event: Close) -> None:
    assert decoder().decode(frame(CLOSE, content)).events == [event]


def test_what_was_read_is_remembered_until_it_is_collected() -> None:
    shared, data = decoder(), message(0)
    decode = shared.decode(data)
    decode.times.append(5)
    assert shared.remembered[data] is decode
    assert shared.collect() == [decode]
    assert shared.remembered == {}
    assert shared.collect() == []
    assert shared.decode(data).times == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is full asks to be emptied."""
    monkeypatch.setattr(module, "MAX_REMEMBERED_BYTES", 3 * len(message(0)))
    shared = decoder()
    for sequence in range(3):
        shared.decode(message(sequence))
        assert not shared.full
    shared.decode(message(3))
    assert shared.full
    shared.collect()
    assert not shared.full


def test_long_texts_are_shown_by_their_beginning() -> None:
    assert (excerpt(b"x" * 80), excerpt(b"x" * 81)) == ("x" * 80, "x" * 80 + "...")
