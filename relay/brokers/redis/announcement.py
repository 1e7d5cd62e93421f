"""Which channels have positions, told by gateways in Redis, so that publishers of back ends need no settings for it.

One string, `PREFIXnamespaces`, in JSON. It is written whenever a gateway with such channels opens a link: where
gateways differ, as during a rolling change, the last one is believed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from relay.brokers.redis.link import pack
from relay.namespaces import ChannelOptions, Namespaces

KEY: Final = "namespaces"
"""Name of the string, behind the prefix of the bus."""


class _Options(msgspec.Struct, omit_defaults=True):
    """The part of a channel's options that a publisher needs. Later versions may write more."""

    history_size: int = 0
    history_ttl: float = ChannelOptions().history_ttl
    history_bytes: int = ChannelOptions().history_bytes
    positions: bool = False


class _Namespaces(msgspec.Struct):
    default: _Options
    named: dict[str, _Options]


def pack_announcement(prefix: str, namespaces: Namespaces) -> bytes:
    """Return the command that tells publishers which channels have positions."""
    announced = _Namespaces(
        _reduce(namespaces.default), {name: _reduce(options) for name, options in namespaces.named.items()}
    )
    return pack("SET", f"{prefix}{KEY}", msgspec.json.encode(announced))


def read_announcement(text: bytes) -> Namespaces:
    """Return what gateways have told.

    Raises:
        msgspec.DecodeError: it isn't written by a gateway.
    """
    announced = msgspec.json.decode(text, type=_Namespaces)
    named = {name: _expand(options) for name, options in announced.named.items()}
    return Namespaces(_expand(announced.default), named)


def _reduce(options: ChannelOptions) -> _Options:
    return _Options(**{name: getattr(options, name) for name in _Options.__struct_fields__})


def _expand(options: _Options) -> ChannelOptions:
    return ChannelOptions(**{name: getattr(options, name) for name in _Options.__struct_fields__})
