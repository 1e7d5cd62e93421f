"""The servers on Node: `ws`, and Socket.IO."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .peer import CommandFailed, Peer, Place, output_of

HERE = Path(__file__).parent
OLDEST_NODE = 20


class NodePeer(Peer):
    """A server.js beside its package.json and package-lock.json, in a folder with the peer's name.

    Attributes:
        packages: those whose versions are told.
    """

    packages: tuple[str, ...]

    def install(self) -> str | None:
        """Copy the folder into the cache and install exactly what its lock file names."""
        try:
            node = output_of("node", "--version")
            if int(node.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
                return f"Node {node} is older than {OLDEST_NODE}"
            source = HERE / self.name
            installed = self.cache / "node_modules" / ".installed"
            lock = (source / "package-lock.json").read_text()
            shutil.copytree(source, self.cache, dirs_exist_ok=True)
            if not installed.exists() or installed.read_text() != lock:
                # Prebuilt binaries come with the packages: no script needs to run.
                flags = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
                output_of("npm", "ci", *flags, folder=self.cache)
                installed.write_text(lock)
        except CommandFailed as failure:
            return str(failure)
        return None

    def version(self) -> str:
        """Return the versions of the packages and of Node."""
        lock = json.loads((self.cache / "package-lock.json").read_text())["packages"]
        packages = ", ".join(f"{name} {lock[f'node_modules/{name}']['version']}" for name in self.packages)
        return f"{packages}, Node {output_of('node', '--version').removeprefix('v')}"

    def command(self, place: Place) -> list[str]:
        """Start it."""
        return ["node", str(self.cache / "server.js")]

    def environment(self, place: Place) -> dict[str, str]:
        """Set the port and Redis."""
        return {"PORT": str(place.port), "REDIS_URL": place.redis_url, "NODE_ENV": "production"}


class Ws(NodePeer):
    """The broadcast server of the `ws` README, with a Redis channel for each channel."""

    name = "ws"
    title = "ws + ioredis"
    packages = ("ws", "ioredis", "bufferutil")
    speech = ("--url-template", "{url}/ws/{channel}", "--hears", "all")


class SocketIO(NodePeer):
    """Rooms, over the websocket transport."""

    name = "socketio"
    title = "Socket.IO + Redis adapter"
    packages = ("socket.io", "@socket.io/redis-adapter", "ws", "ioredis", "bufferutil")
    speech = (
        *("--url-template", "{url}/socket.io/?EIO=4&transport=websocket"),
        *("--answer-frame", r"^0\{ => 40"),  # the transport is open: enter the main namespace
        *("--answer-frame", r'^40 => 42["join","{channel}"]'),
        *("--answer-frame", "^2$ => 3"),  # a ping of its own
        *("--ready-frame", r'^42\["joined"'),
        *("--publish-frame", '42["publish","{channel}","{payload}"]'),
    )
