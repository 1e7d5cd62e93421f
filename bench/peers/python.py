"""The servers of this repository: the relay, and the everyday relay that it is compared with."""

from __future__ import annotations

import sys
from importlib.metadata import version
from platform import python_version

from relay.version import __version__

from .centrifugo import SPEECH
from .peer import Peer, Place


class Relay(Peer):
    """`relay serve` with its own defaults."""

    name = "relay"
    title = "relay"
    # All clients of a channel hear a message, its sender too: in a room of ten that is an eleventh delivery.
    speech = ("--url-template", "{url}/ws/{channel}?echo=1", "--hears", "all")

    def version(self) -> str:
        """Return the relay's version and those of Python and uvloop."""
        return f"relay {__version__}, uvloop {version('uvloop')}, Python {python_version()}"

    def command(self, place: Place) -> list[str]:
        """Start a gateway."""
        return [sys.executable, "-m", "relay", "serve"]

    def environment(self, place: Place) -> dict[str, str]:
        """Set the port and the bus; nothing else that matters differs from the defaults."""
        return {
            "RELAY_PORT": str(place.port),
            "RELAY_BROKER_URL": place.redis_url,
            "RELAY_LOG_LEVEL": "warning",
            "RELAY_DRAIN_SECONDS": "0",
        }


class RelayOverCentrifuge(Relay):
    """The same gateway, to which the clients of Centrifugo connect."""

    name = "relay-centrifuge"
    title = "relay, Centrifuge protocol"
    speech = SPEECH


class Everyday(Peer):
    """The relay that one writes with `websockets` and redis-py in an afternoon."""

    name = "everyday"
    title = "everyday (websockets + redis-py)"

    def version(self) -> str:
        """Return the versions of the libraries."""
        libraries = ", ".join(f"{name} {version(name)}" for name in ("websockets", "redis", "hiredis", "uvloop"))
        return f"{libraries}, Python {python_version()}"

    def command(self, place: Place) -> list[str]:
        """Start it."""
        return [sys.executable, "-m", "bench.everyday"]

    def environment(self, place: Place) -> dict[str, str]:
        """Set the port and Redis."""
        return {"EVERYDAY_PORT": str(place.port), "EVERYDAY_REDIS_URL": place.redis_url}
