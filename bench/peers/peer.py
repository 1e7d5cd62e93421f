"""A server to be measured: how it is installed, started, and spoken to."""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

INSTALL_SECONDS = 900.0  # a Go program of this size is compiled for minutes on one core


@dataclass(frozen=True)
class Place:
    """Where one run of a peer takes place.

    Args:
        port: of 127.0.0.1, free.
        redis_url: of the Redis that all peers share.
        folder: empty, and removed after the run.
    """

    port: int
    redis_url: str
    folder: Path

    @property
    def redis_address(self) -> str:
        """Host and port of Redis."""
        return urlsplit(self.redis_url).netloc


class Peer(ABC):
    """One server.

    Args:
        cache: folder where this peer is installed; kept between runs.

    Attributes:
        name: for --only.
        title: for the tables.
        speech: options of `relay loadtest` that say how it is spoken to.
    """

    name: str
    title: str
    speech: tuple[str, ...] = ()

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def install(self) -> str | None:
        """Install what is missing; return why that is impossible, or None."""
        return None

    @abstractmethod
    def version(self) -> str:
        """Return the versions of the server and of what it is made of."""

    @abstractmethod
    def command(self, place: Place) -> list[str]:
        """Return the command that starts it in the foreground; it may write into the place's folder."""

    def environment(self, place: Place) -> dict[str, str]:
        """Return the environment variables that configure it."""
        return {}


class CommandFailed(Exception):
    """A program could not do its work, and why, in one line."""


def output_of(*command: str | Path, folder: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it printed, its errors included.

    Args:
        *command: the program and its arguments.
        folder: to run it in.
        env: variables besides those of this process.

    Raises:
        CommandFailed: it is not there, takes too long, or ends with another code than 0.
    """
    program = str(command[0])
    if shutil.which(program) is None:
        raise CommandFailed(f"{program} is not installed")
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{Path(program).name} took more than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        said = " ".join(done.stdout.split())[-300:]
        raise CommandFailed(f"{Path(program).name} ended with code {done.returncode}: {said}")
    return done.stdout.strip()
