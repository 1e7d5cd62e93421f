"""Centrifugo, installed by the Go toolchain."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .peer import CommandFailed, Peer, Place, output_of

CONFIGURATION = Path(__file__).parent / "centrifugo" / "config.json"
MODULE = "github.com/centrifugal/centrifugo/v6"


SPEECH = (
    *("--url-template", "{url}/connection/websocket"),
    *("--subscribe-frame", '{"id":1,"connect":{}}'),
    *("--subscribe-frame", '{"id":2,"subscribe":{"channel":"{channel}"}}'),
    *("--ready-frame", '"id":2,"subscribe":'),
    *("--publish-frame", '{"id":3,"publish":{"channel":"{channel}","data":"{payload}"}}'),
    *("--answer-frame", r"^\{\}$ => {}"),  # a ping of its own
    *("--ignore-frame", '"id":1,"connect":'),
    *("--ignore-frame", '"id":3,"publish":'),
    *("--hears", "all"),
)
"""How `relay loadtest` speaks the Centrifuge protocol in JSON."""


class Centrifugo(Peer):
    """One node with the Redis engine and without history, over its JSON protocol."""

    name = "centrifugo"
    title = "Centrifugo"
    speech = SPEECH

    @property
    def program(self) -> str:
        """The program: the one in the path, or that in the cache."""
        return shutil.which("centrifugo") or str(self.cache / "centrifugo")

    def install(self) -> str | None:
        """Let Go compile it, once."""
        if shutil.which(self.program):
            return None
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            output_of("go", "install", f"{MODULE}@latest", env={"GOBIN": str(self.cache)})
        except CommandFailed as failure:
            return str(failure)
        return None

    def version(self) -> str:
        """Return its version and that of Go."""
        said = output_of(self.program, "version")
        match = re.search(r"v([\d.]+) \(Go version: go([\d.]+)\)", said)
        if match is None or match[1] == "0.0.0":
            # One that `go install` has made knows its version only as a module.
            said = output_of("go", "version", "-m", self.program)
            match = re.search(rf"(?s)mod\s+{re.escape(MODULE)}\s+v(\S+)", said)
            return f"Centrifugo {match[1]}, {output_of('go', 'env', 'GOVERSION')}" if match else said
        return f"Centrifugo {match[1]}, Go {match[2]}"

    def command(self, place: Place) -> list[str]:
        """Start it."""
        return [self.program, "--config", str(CONFIGURATION)]

    def environment(self, place: Place) -> dict[str, str]:
        """Set the port, Redis, and one thread of Go."""
        return {
            "CENTRIFUGO_HTTP_SERVER_PORT": str(place.port),
            "CENTRIFUGO_ENGINE_REDIS_ADDRESS": place.redis_address,
            "GOMAXPROCS": "1",
        }
