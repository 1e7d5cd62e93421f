"""The position of a channel as it is in Redis; see `relay.brokers.redis.scripts`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class StoredPosition:
    """What Redis knows of a channel's newest message; the fields are in the order of the string."""

    offset: int
    size: int
    before: int
    renewed: int
    epoch: str
    primary: str
    began: int
    former: str

    @classmethod
    def read(cls, redis: Any, key: str | bytes) -> StoredPosition | None:
        """Return what is there; None: nothing."""
        text = redis.get(key)
        if text is None:
            return None
        known = text if isinstance(text, str) else text.decode()
        offset, size, before, renewed = (int(known[start : start + 16]) for start in range(0, 64, 16))
        return cls(offset, size, before, renewed, known[64:85], known[85:125].strip(), int(known[125:141]), known[141:])

    @classmethod
    def change(cls, redis: Any, key: str | bytes, **fields: Any) -> None:
        """Write other values of some fields."""
        known = cls.read(redis, key)
        assert known is not None
        known = replace(known, **fields)
        numbers = "".join(f"{number:016d}" for number in (known.offset, known.size, known.before, known.renewed))
        text = f"{numbers}{known.epoch:21.21}{known.primary:40}{known.began:016d}{known.former}"
        redis.set(key, text, keepttl=True)
