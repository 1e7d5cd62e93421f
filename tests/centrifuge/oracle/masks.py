"""What differs between two plays of one script, made the same: ids, epochs, times and versions."""

from __future__ import annotations

from typing import Any

BY_KEY = {"version": "<version>", "ttl": "<ttl>", "time": "<time>", "session": "<session>", "node": "<node>"}
"""Fields of which only it counts that they are there."""


class Masks:
    """The masks of one play: they call a client by its name in the script, and epochs by the order of their coming.

    Args:
        word: the one that this play has in the place of `~`.

    Attributes:
        clients: id that the server gave → name in the script.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self.clients: dict[str, str] = {}
        self._epochs: dict[str, str] = {}

    def of(self, value: Any, key: str = "") -> Any:
        """Return a value without what is of one play alone.

        Args:
            value: anything of JSON.
            key: the name of the field that holds it.
        """
        if isinstance(value, dict):
            return {self.of(name): self.of(entry, name) for name, entry in value.items()}
        if isinstance(value, list):
            return [self.of(entry) for entry in value]
        if key in BY_KEY and value:
            return BY_KEY[key]
        if isinstance(value, str):
            if key == "epoch" and value:
                return self._epochs.setdefault(value, f"<epoch {len(self._epochs) + 1}>")
            if value in self.clients:
                return f"<client {self.clients[value]}>"
            return value.replace(self._word, "~")
        return value
