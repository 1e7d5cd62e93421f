"""uWebSockets, compiled from its published source."""

from __future__ import annotations

import shutil
from pathlib import Path

from .peer import CommandFailed, Peer, Place, output_of

SERVER = Path(__file__).parent / "uwebsockets" / "server.cpp"
SITE = "https://github.com/uNetworking"
VERSION = "20.79.0"

COMMITS = {
    "uWebSockets": "fe7c01a477b688a7743f754fee33bdd78d52ad91",  # v20.79.0
    "uSockets": "86097c490263ab662d62e8e7b541390bdec7d149",  # the one that it names as its submodule
}

OPTIMIZED = ("-O3", "-march=native", "-flto=auto")
"""As its own build has it."""

LEFT_OUT = ("-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB")
"""TLS and compression, which no peer uses here."""


class UWebSockets(Peer):
    """One process, and its own publish/subscribe: it has no bus, so Redis has nothing to do."""

    name = "uwebsockets"
    title = "uWebSockets, without a bus"
    speech = ("--url-template", "{url}/ws/{channel}")

    @property
    def program(self) -> Path:
        """The server, compiled."""
        return self.cache / "server"

    def install(self) -> str | None:
        """Fetch the source by git and compile it, once; and again when the server or the version is another one."""
        built, wanted = self.cache / "built.txt", "\n".join([*COMMITS.values(), SERVER.read_text()])
        try:
            if not self.program.exists() or not built.exists() or built.read_text() != wanted:
                for repository, commit in COMMITS.items():
                    self._fetch(repository, commit)
                self._compile()
                built.write_text(wanted)
        except CommandFailed as failure:
            return str(failure)
        return None

    def _fetch(self, repository: str, commit: str) -> None:
        """Fetch one commit of a repository, without its history."""
        folder = self.cache / repository
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        output_of("git", "init", "--quiet", folder)
        output_of("git", "fetch", "--quiet", "--depth=1", f"{SITE}/{repository}", commit, folder=folder)
        output_of("git", "checkout", "--quiet", "--detach", commit, folder=folder)

    def _compile(self) -> None:
        sockets = self.cache / "uSockets" / "src"
        sources = [*sorted(sockets.glob("*.c")), *sorted(sockets.glob("eventing/*.c"))]
        output_of("gcc", *OPTIMIZED, *LEFT_OUT, "-I", sockets, "-c", *sources, folder=self.cache)
        headers = ("-I", sockets, "-I", self.cache / "uWebSockets" / "src")
        objects = [f"{source.stem}.o" for source in sources]
        command = ("g++", "-std=c++20", *OPTIMIZED, *LEFT_OUT, *headers, SERVER, *objects, "-o", self.program)
        output_of(*command, folder=self.cache)

    def version(self) -> str:
        """Return its version and that of the compiler."""
        return f"uWebSockets {VERSION}, {output_of('g++', '--version').splitlines()[0]}"

    def command(self, place: Place) -> list[str]:
        """Start it."""
        return [str(self.program)]

    def environment(self, place: Place) -> dict[str, str]:
        """Set the port."""
        return {"PORT": str(place.port)}
