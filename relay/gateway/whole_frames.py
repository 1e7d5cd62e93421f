"""The short way in: client messages that arrive whole.

Nearly every message is one unfragmented frame that arrives in one piece. Taking these out of a chunk directly
costs a fifth of what `websockets`' generator-based parser does. Pongs are passed over: to have been heard is
all that they are for. Everything else goes to that parser, errors included: other control frames, fragments,
half-received and long frames, wrong masking, reserved bits, messages that are too big. So there is one judge of the
protocol, and `tests/gateway/test_whole_frames.py` holds this module to the same answers.
"""

from __future__ import annotations

from websockets.speedups import apply_mask

from relay.message import Kind

_KINDS = {0x81: Kind.TEXT, 0x82: Kind.BINARY}
_PONG = 0x8A


def whole_frames(data: bytes, max_size: int, start: int = 0) -> tuple[list[tuple[Kind, bytes]], int]:
    """Take messages out of a chunk, up to the first thing that is not a whole, plain message.

    Args:
        data: what was read.
        max_size: of a payload, in bytes.
        start: where in the data to begin: at a frame's first byte, outside of a fragmented message.

    Returns:
        The messages as kind and unmasked payload, and where what follows them (and pongs) begins.
    """
    messages: list[tuple[Kind, bytes]] = []
    end = len(data)
    while end - start >= 6:
        kind = _KINDS.get(data[start])
        size = data[start + 1] - 0x80
        if kind is None and data[start] == _PONG and 0 <= size < 126 and start + 6 + size <= end:
            start += 6 + size
            continue
        if kind is None or size < 0 or size == 127:
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
    return messages, start


def frame_end(data: bytes, start: int) -> int | None:
    """Return where a frame ends, by its length; that may lie beyond the data.

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
    return after + mask + size
