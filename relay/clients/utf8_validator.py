"""Finding bytes that aren't UTF-8 as soon as they arrive, before the text is whole."""

from __future__ import annotations

import codecs

from websockets.speedups import apply_mask


class Utf8Validator:
    """Checks one text message that arrives in pieces (RFC 6455, section 8.1), on the wire: still masked.

    What a text lacks at its end is not found here: its last bytes may be the beginning of a character.
    """

    __slots__ = ("_decoder", "_mask")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._mask = b""

    def begin_frame(self, mask: bytes) -> None:
        """Be told of the next frame.

        Args:
            mask: of its payload, 4 bytes; none for a control frame between the fragments of the text.
        """
        self._mask = mask

    def feed(self, piece: bytes) -> None:
        """Check the next bytes of the frame's payload.

        Raises:
            UnicodeDecodeError: no text begins like this.
        """
        mask = self._mask
        if mask and piece:
            self._decoder.decode(apply_mask(piece, mask))
            shift = len(piece) % 4
            self._mask = mask[shift:] + mask[:shift]
