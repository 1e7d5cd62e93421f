"""Ports that nobody listens on."""

from __future__ import annotations

import functools
import itertools
import os
import random
import socket
from typing import Final

FIRST: Final = 20_000
BLOCKS: Final = 50
BLOCK: Final = 250
"""Below 32,768, from where on the kernel takes ports for whoever asks for any free one, and for clients: such a port
could be gone before it is used, or while a Redis that has it is restarted. Each pytest process of a machine has its own
block: one may start a program that listens seconds later."""

# Not all runs on a machine at the same port; and not the generator that Hypothesis seeds.
_offsets = itertools.count(random.SystemRandom().randrange(BLOCK))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago; another one each time."""
    while True:
        port = FIRST + _block() * BLOCK + next(_offsets) % BLOCK
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # taken
        return port


@functools.cache
def _block() -> int:
    """Return the number of this process's block: its alone, as long as there are as many, and on Linux."""
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % BLOCKS
    candidates: list[int] = [own, *range(BLOCKS)]
    for number in candidates:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0relay-tests-ports-{number}")  # a name, without a file, that goes with this process
        except OSError:
            claim.close()  # another process has it
        else:
            _claims.append(claim)
            return number
    return own


_claims: list[socket.socket] = []


def accepts(port: int) -> bool:
    """Return whether anybody listens on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
