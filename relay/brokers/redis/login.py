"""The log-in: the commands that a fresh link sends before it is used."""

from __future__ import annotations

from typing import Any

import hiredis

from relay.brokers.redis.address import Address
from relay.brokers.redis.link import Link, LinkClosed
from relay.brokers.redis.server import Server, role_of, run_id_of


class Login:
    """One log-in. Only AUTH must succeed; the other commands may be forbidden to this user.

    Args:
        link: connected, and not in use yet.
        address: has the user, the password and the database.
        name: shown in Redis' `CLIENT LIST`.
    """

    def __init__(self, link: Link, address: Address, name: str) -> None:
        self._link = link
        self._address = address
        self._name = name
        self._refused: list[str] = []

    async def run(self) -> Server:
        """Log in, and ask which server it is.

        Raises:
            hiredis.ReplyError: Redis refused the user or the password, or requires one.
            LinkClosed: the link broke meanwhile; the text includes the error that Redis sent before.
        """
        address = self._address
        if address.password is not None:
            await self._link.call("AUTH", *filter(None, [address.username]), address.password)
        if address.db:
            await self._ask("SELECT", address.db)
        await self._ask("CLIENT", "SETNAME", self._name)
        hello = await self._ask("HELLO")
        if hello is None:  # before Redis 6.2; only then it takes one command more to learn that a password is missing
            await self._ask("PING")
        info = await self._ask("INFO", "server")
        return Server(role_of(hello), run_id_of(info), tuple(self._refused))

    async def _ask(self, *command: str | int) -> Any:
        """Return the reply to a command that may be refused; None when it is refused."""
        try:
            return await self._link.call(*command)
        except hiredis.ReplyError as error:
            if str(error).startswith("NOAUTH"):
                raise
            self._refused.append(f"{command[0]}: {error}")
            return None
        except LinkClosed as error:
            # For example "max number of clients reached": an error that answers no command, before Redis closes.
            if self._refused:
                raise LinkClosed(f"{error}, after {self._refused[-1]}") from None
            raise
