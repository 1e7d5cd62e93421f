"""What a Redis says of itself and of the rights of its user; asked once, by commands that change nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import hiredis

from relay.brokers.redis.address import Address
from relay.brokers.redis.connector import open_link
from relay.brokers.redis.link import Link, LinkClosed, Replies, pack
from relay.brokers.redis.rights import Command, Right, rights
from relay.brokers.redis.server import fields_of

_SECTIONS: Final = ("server", "memory", "persistence")

PARAMETERS: Final = ("client-output-buffer-limit", "timeout", "tcp-keepalive", "save")
"""What is asked of its configuration."""

ANSWER_BYTES: Final = 1024 * 1024
"""How much Redis may say in all: about 20 KB, unless it is something else that was asked."""

_REFUSALS: Final = ("NOPERM", "ERR unknown command")


@dataclass(frozen=True, slots=True)
class Inspection:
    """A Redis as it has been found.

    Args:
        place: its address.
        seconds: from a question to its answer.
        info: the fields of `INFO` by their names; none where Redis refuses to say.
        parameters: of its configuration, by their names; without those that Redis refuses to show.
        refused: the rights that its user lacks, of all that there are.
    """

    place: str
    seconds: float
    info: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[Right, ...] = ()


async def inspect(address: Address, prefix: str, limit: float) -> Inspection:
    """Ask a Redis about itself.

    Args:
        address: of the Redis, with the user of gateways.
        prefix: of channels and keys.
        limit: seconds to connect and log in, and again for all answers together.

    Raises:
        ConnectionError: it can't be reached, or doesn't answer; the text says at which step, and why.
    """
    questions = _Questions()
    link = await open_link(address, questions, "relay-check", limit)
    link.allowance = ANSWER_BYTES
    try:
        async with asyncio.timeout(limit):
            asked_at = time.monotonic()
            await questions.ask(link, [("PING",)])
            seconds = time.monotonic() - asked_at
            sections = await questions.ask(link, [("INFO", section) for section in _SECTIONS])
            found = await questions.ask(link, [("CONFIG", "GET", name) for name in PARAMETERS])
            wanted = list(rights(prefix))
            allowed = await questions.ask(link, [right.command for right in wanted])
    except TimeoutError:
        raise LinkClosed(f"{link.place} has not answered within {limit:g} s") from None
    finally:
        link.abort("all is asked")
    return Inspection(
        place=link.place,
        seconds=seconds,
        info={name: value for section in sections for name, value in fields_of(section).items()},
        parameters=dict(pair for reply in found if (pair := _parameter(reply)) is not None),
        refused=tuple(right for right, reply in zip(wanted, allowed, strict=True) if _is_refused(reply)),
    )


class _Questions:
    """The owner of a link that asks some questions at once, and waits for all answers."""

    def __init__(self) -> None:
        self._answers: list[Any] = []
        self._wanted = 0
        self._complete: asyncio.Future[None] | None = None

    async def ask(self, link: Link, commands: Sequence[Command]) -> list[Any]:
        """Return the replies, errors among them.

        Raises:
            LinkClosed: the link broke meanwhile.
        """
        self._answers, self._wanted = [], len(commands)
        self._complete = asyncio.get_running_loop().create_future()
        link.write(b"".join(pack(*command) for command in commands))
        either: list[asyncio.Future[Any]] = [self._complete, link.closed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._complete.done():
            raise LinkClosed(f"{link.place} has ended the connection: {link.closed.result()}")
        return self._answers

    def replies_received(self, replies: Replies) -> None:
        """Keep replies; those beyond the questions answer none."""
        while (reply := replies()) is not False:
            if len(self._answers) < self._wanted:
                self._answers.append(reply)
        if self._complete is not None and not self._complete.done() and len(self._answers) == self._wanted:
            self._complete.set_result(None)

    def link_writable(self, writable: bool) -> None:
        """Ignore it: what is asked is a few kilobytes."""


def _parameter(reply: Any) -> tuple[str, str] | None:
    """Return the name and the value in a reply to `CONFIG GET`; None for an error, and for a name that is unknown."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    name, value = (part.decode(errors="replace") if isinstance(part, bytes) else "" for part in reply)
    return name, value


def _is_refused(reply: Any) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith(_REFUSALS)
