"""What asks other servers: opened before the gateway listens, run beside the clients, closed when none is left."""

from __future__ import annotations

from typing import Protocol

from relay.auth.authenticator import Authenticator, RemoteAuthenticator
from relay.gateway.background import Background


class Remote(Protocol):
    """A part that asks other servers; see `RemoteAuthenticator`, which says what is called when."""

    @property
    def notes(self) -> list[str]:
        """What an operator should know while the gateway is ready all the same."""

    async def open(self) -> None:
        """Get ready."""

    async def run(self) -> None:
        """Do what is to be done in the background."""

    async def close(self) -> None:
        """Close what `open` has opened."""


class Remotes:
    """All of them in one gateway.

    Args:
        authenticator: that of the gateway; one that asks no other server is none of them.
        others: by their names.
    """

    def __init__(self, authenticator: Authenticator, **others: Remote) -> None:
        self._all: dict[str, Remote] = others
        if isinstance(authenticator, RemoteAuthenticator):
            self._all = {"authenticator": authenticator, **others}

    @property
    def notes(self) -> list[str]:
        """What an operator should know of them, in words."""
        return [note for remote in self._all.values() for note in remote.notes]

    async def open(self) -> None:
        """Get ready; nothing waits for another server."""
        for remote in self._all.values():
            await remote.open()

    def run(self, background: Background) -> None:
        """Begin what they do beside the clients, each as a task of its name."""
        for name, remote in self._all.items():
            background.run(name, remote.run)

    async def close(self) -> None:
        """Close what was opened, the last one first."""
        for remote in reversed(self._all.values()):
            await remote.close()
