"""The short way in: client messages that arrive whole.

Nearly every message is one unfragmented frame that arrives in one piece. Taking these out of a chunk directly
costs a fifth of what `websockets`' generator-based parser does. Everything else goes to that parser, errors
included: control frames, fragments, half-received and long frames, wrong masking, reserved bits, messages that
are too big. So there is one judge of the protocol, and `tests/gateway/test_whole_frames.py` holds this
function to the same answers.
"""

from __future__ import annotations

from websockets.speedups import apply_mask

from relay.message import Kind

_KINDS = {0x81: Kind.TEXT, 0x82: Kind.BINARY}


def whole_frames(data: bytes, max_size: int) -> tuple[list[tuple[Kind, bytes]], int]:
    """Take the messages from the start of a chunk, up to the first thing that is not a whole, plain message.

    Args:
        data: what was read, beginning at a frame's first byte, outside of a fragmented message.
        max_size: of a payload, in bytes.

    Returns:
        The messages as kind and unmasked payload, and how many bytes of the chunk they took.
    """
    messages: list[tuple[Kind, bytes]] = []
    start, end = 0, len(data)
    while end - start >= 6:
        kind = _KINDS.get(data[start])
        size = data[start + 1] - 0x80
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
