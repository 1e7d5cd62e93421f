"""The short way in: client messages, pings and pongs that arrive whole.

Nearly every message is one unfragmented frame that arrives in one piece. Taking these out of a chunk directly
costs a fifth of what `websockets`' generator-based parser does. Pings are answered here and pongs passed over: to have
been heard is all that they are for. Everything else goes to that parser, errors included: the close frame, fragments,
half-received and long frames, wrong masking, reserved bits, messages that are too big. So there is one judge of the
protocol, and `tests/clients/test_whole_frames.py` holds this module to the same answers.
"""

from __future__ import annotations

from websockets.speedups import apply_mask

from relay.message import Kind

_KINDS = {0x81: Kind.TEXT, 0x82: Kind.BINARY}
_NO_KINDS: dict[int, Kind] = {}
_PING, _PONG = 0x89, 0x8A

PONG_BYTES = 6
"""Of a client's pong without a payload: its header and the mask."""


def whole_frames(
    data: bytes, max_size: int, start: int, most: int, fragmented: bool = False
) -> tuple[list[tuple[Kind, bytes]], int, int, bytes]:
    """Take messages out of a chunk, up to the first thing that is neither a whole, plain message nor a ping or pong.

    Args:
        data: what was read.
        max_size: of a message's payload, in bytes.
        start: where in the data to begin: at a frame's first byte.
        most: how many frames to take.
        fragmented: whether a fragmented message has begun; only pings and pongs are taken then.

    Returns:
        The messages as kind and unmasked payload; where what follows begins; how many pings and pongs there were;
        the frames that answer the pings.
    """
    messages: list[tuple[Kind, bytes]] = []
    controls, pongs = 0, b""
    kinds = _NO_KINDS if fragmented else _KINDS
    end = len(data)
    while end - start >= 6 and most:
        most -= 1
        first = data[start]
        kind = kinds.get(first)
        size = data[start + 1] - 0x80
        if kind is None:
            body = start + 6
            stop = body + size
            if (first != _PING and first != _PONG) or not 0 <= size < 126 or stop > end:
                break
            controls += 1
            if first == _PING:
                pongs += b"\x8a" + bytes([size]) + apply_mask(data[body:stop], data[start + 2 : body])
            start = stop
            continue
        if size < 0 or size == 127:
            break
        body = start + 6
        if size == 126:
            size = data[start + 2] << 8 | data[start + 3]
            body = start + 8
        stop = body + size
        if stop > end or size > max_size:
            break
        messages.append((kind, apply_mask(data[body:stop], data[body - 4 : body])))
        start = stop
    return messages, start, controls, pongs


def is_pong(data: memoryview) -> bool:
    """Return whether a frame of so many bytes is a client's pong, the answer to a ping without a payload."""
    return data[0] == _PONG and data[1] == 0x80


def frames_before(data: bytes, start: int, messages: int) -> int:
    """Return how many frames the first so many messages are that `whole_frames` has found, pings and pongs included."""
    frames = 0
    while messages:
        frames += 1
        messages -= data[start] in _KINDS
        bounds = frame_end(data, start)
        assert bounds is not None
        start = bounds[1]
    return frames


def frame_end(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where a frame's payload begins and where the frame ends, by its length; both may lie beyond the data.

    Args:
        data: what was read.
        start: of the frame.

    Returns:
        None when the length isn't there yet; there are at most 9 bytes then.
    """
    if len(data) - start < 2:
        return None
    size = data[start + 1] & 0x7F
    after = start + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size = int.from_bytes(data[after : after + width], "big")
        after += width
    if after > len(data):
        return None
    mask = 4 if data[start + 1] & 0x80 else 0
    return after + mask, after + mask + size
